"""
The facts in the log.

They live 33 days in logs that other programs read too, so they are complete, absolute and self-contained:
fields are only ever added, a changed meaning is a new version of the type, and a reader ignores what it does
not know. Bytes and headers are `shared.core.codec`'s business.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

from shared.core.answers import CustomAnswer, Inline
from shared.core.cards import CardFormat, Toast
from shared.core.effects import AnsweredCard, Requestable, StoredEffect, UpdateCard
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId, MessageId, OpenId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.core.people import Operator as Operator  # noqa: PLC0414 -- a part of these facts

InteractionKind = Literal["card_action", "card_action_v1", "link_preview", "event"]
"""How it arrived: new card callback, legacy card callback, link preview, subscribed event."""

CARD_ACTIONS = frozenset[InteractionKind]({"card_action", "card_action_v1"})
"""The kinds that a person waits for an answer to: they are followed by an answered mark."""


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What was clicked, and with which data.

    Attributes:
        tag: The component's tag (``button``, ``select_static`` …): an open set.
        name: The component's name, inside a form.
        value: JSON text of the component's own value, exactly as received: any JSON.
        form_value: JSON text of the submitted form, exactly as received.
        input_value: Text of an input outside a form.
        option: The choice of a single-choice component outside a form.
        options: The choices of a multi-choice component outside a form.
        checked: State of a checker outside a form.
        timezone: The clicker's time zone, where the platform sends it.
    """

    tag: str | None = None
    name: str | None = None
    value: JsonText | None = None
    form_value: JsonText | None = None
    input_value: str | None = None
    option: str | None = None
    options: tuple[str, ...] | None = None
    checked: bool | None = None
    timezone: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What the caller was answered within its 3 seconds, chosen before the interaction was appended.

    Attributes:
        rule: Whose answer it is: a handler's name, or ``default``.
        toast: The toast, if any.
        card: JSON text of the card, if the answer replaced it; of a link preview, the card below the link.
        inline: What a previewed link was shown as.
        custom: A status and body of the author's own; then there is nothing else.
    """

    rule: str = "default"
    toast: Toast | None = None
    card: JsonText | None = None
    inline: Inline | None = None
    custom: CustomAnswer | None = None


class InteractionReceived(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    Somebody clicked, or something happened: a verified callback, normalized.

    Attributes:
        occurred_at: The platform's time of the click (ms); `received_at` where it cannot be read.
        received_at: When the gateway had the whole request (ms).
        card_token: The card's update token: useless without the app's secret, secret all the same.
        request_id: ``X-Request-Id``; not signed, so never an identity by itself.
        delivery_key: Same key, same bytes delivered again.
        app_ticket: What a store app gets its access tokens with, if this is the event that brings it: a secret.
        callback: JSON text of the decoded body less every token, so that fields can be derived later.
    """

    event_id: EventId
    kind: InteractionKind
    app_id: AppId
    tenant_key: TenantKey
    operator: Operator = Operator()
    message_id: MessageId | None = None
    chat_id: ChatId | None = None
    host: str | None = None
    delivery_type: str | None = None
    url: str | None = None
    action: Action = Action()
    event_type: str | None = None
    card_token: str | None = None
    preview_token: str | None = None
    answer: Answer = Answer()
    occurred_at: EpochMs
    received_at: EpochMs
    request_id: str | None = None
    delivery_key: DeliveryKey | None = None
    app_ticket: str | None = None
    callback: JsonText | None = None

    def __repr__(self) -> str:
        """Name the event and nothing that a person typed or a token."""
        return f"InteractionReceived({self.event_id!r}, kind={self.kind!r}, message_id={self.message_id!r})"


class InteractionAnswered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    The answered mark: the last byte of the answer was written, so updates may follow.

    Attributes:
        delivered: False when the client had gone before the answer was written.
        answered_at: The gateway's time (ms).
    """

    event_id: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    delivered: bool = True
    answered_at: EpochMs


OURSELVES: Final = "worker"
"""The caller of requests that decisions make: updates of other cards than the one that was clicked."""

_EXPIRED: Final = "expired/"


def successor_request_id(message_id: MessageId) -> str:
    """Return the id of the request that sends a card in place of one past its time: one for each card, so once."""
    return f"{_EXPIRED}{message_id}"


def sends_a_successor(event_id: EventId) -> bool:
    """Say whether an effect of this event sends a card in place of one past its time."""
    return event_id.startswith(f"req/{OURSELVES}/{_EXPIRED}")


COMMAND_LINE: Final = "cli"
"""The caller of requests that `cardwire send` makes."""


def request_event_id(caller: str, request_id: str) -> EventId:
    """Return the identity of a request: the caller's own id, which no other caller can use up."""
    return EventId(f"req/{caller}/{request_id}")


class RequestReceived(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A program asked for effects: about one card or about none, decided in the card's turn, without a handler.

    Attributes:
        event_id: ``req/<caller>/<request_id>``: who sends the same id again means the same request.
        tenant_key: Of the interaction that it descends from; empty where the app has one organisation.
        message_id: The card that it is about, the only one that it may update.
        caller: Who asked: a name of the settings, ``cli``, or ``worker`` where a decision updates another card.
        request_id: The caller's own id.
        effects: What is to be done, in this order where it is about the same card or chat.
        occurred_at: When it was asked for (ms); of one that a decision made, its interaction's time.
        received_at: When the gateway had the whole request (ms).
    """

    event_id: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    caller: str
    request_id: str
    effects: tuple[Requestable, ...]
    occurred_at: EpochMs
    received_at: EpochMs

    def __repr__(self) -> str:
        """Name the request and nothing of what is to be shown."""
        return f"RequestReceived({self.event_id!r}, message_id={self.message_id!r}, effects={len(self.effects)})"


_CAME_BACK: Final = re.compile(r"(?:/\d+/(?:returned|fired))+\Z")


def returned_event_id(event_id: EventId, index: int) -> EventId:
    """Return the identity of what an effect brought back: once, however often it is done."""
    return EventId(f"{event_id}/{index}/returned")


class CallReturned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A call came back, or was given up: the user's own function, or a question to the platform.

    Attributes:
        event_id: ``<event>/<index>/returned``: of the decision that asked, and which of its effects.
        origin: The interaction, or the request, with which it began.
        message_id: The card of that interaction; `chat_id` its chat, `operator` whose it was.
        clicked_at: When that interaction was received (ms), if it was a click.
        name: What was called.
        value: JSON text of what came back; ``null`` where that is nothing.
        error: Why nothing came back, in words; absent if something did.
        occurred_at: When it was known (ms, ledger's clock); `received_at` the same.
    """

    event_id: EventId
    origin: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    chat_id: ChatId | None = None
    operator: Operator = Operator()
    clicked_at: EpochMs | None = None
    name: str
    value: JsonText | None = None
    error: str | None = None
    occurred_at: EpochMs
    received_at: EpochMs

    def __repr__(self) -> str:
        """Name the call and nothing of what it brought."""
        return f"CallReturned({self.event_id!r}, name={self.name!r}, failed={self.error is not None})"


def origin_of(event_id: EventId) -> EventId:
    """Return the id of the interaction, or the request, from which something came back or came due; or itself."""
    return EventId(_CAME_BACK.sub("", event_id))


def fired_event_id(event_id: EventId, index: int) -> EventId:
    """Return the identity of a reminder that came."""
    return EventId(f"{event_id}/{index}/fired")


class TimerFired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A reminder came.

    Attributes:
        event_id: ``<event>/<index>/fired``: of the decision that asked for it, and which of its effects.
        origin: The interaction, or the request, with which it began.
        message_id: The card of that interaction; `chat_id` its chat, `operator` whose it was.
        clicked_at: When that interaction was received (ms), if it was a click.
        key: Which reminder of the card.
        due: When it was to come (ms).
        occurred_at: When it came (ms, ledger's clock); `received_at` the same.
    """

    event_id: EventId
    origin: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    chat_id: ChatId | None = None
    operator: Operator = Operator()
    clicked_at: EpochMs | None = None
    key: str
    due: EpochMs
    occurred_at: EpochMs
    received_at: EpochMs


class RedriveRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    An operator wants a failed input to be decided once more: done only if it still is one that failed.

    Attributes:
        event_id: The input's; this record's own id is ``<event>/redrive/<n>``.
        n: Counts the redrives of the input from 1: each is done once.
        message_id: The input's card.
        requested_at: When it was asked for (ms).
    """

    event_id: EventId
    n: int
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    requested_at: EpochMs


ClaimResult = Literal["decided", "ignored", "refused", "failed", "twin", "counted"]
"""
What became of an input: ``decided`` by a handler, or as a request; ``ignored``, no handler matched; ``refused`` by a
rule (the card had expired, the caller may not ask for this); ``failed``, the handler did; ``twin`` of a click that the
platform sent in both styles; ``counted`` towards a quorum.
"""

Eligibility = Literal["after_answer", "at_once"]
"""When an effect may start: after its click's answer (changes of the clicked card), or at once."""


CARD: Final = "card"
NAME: Final = "name"
TIMER: Final = "timer"
PREVIEW: Final = "preview"
"""
Coalescing keys: of effects that show a whole card, name a chat, set a reminder, refresh a link's preview.
"""

ELEMENT: Final = "element:"
TEXT: Final = "text:"
"""What coalescing keys of a card's parts begin with: an element's id follows."""

EVERYBODY: Final = "*"
"""The audience of what all see."""

EFFECTS_PER_DECISION: Final = 1024
"""The order key leaves so much room between two offsets: indexes 0 to 1023."""


class PlannedEffect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One effect of a decision.

    Attributes:
        index: Counts from 1 within the decision; 0 is reserved for an answered card.
        audience: Who sees it: ``*`` everybody, else one open id (of a preview's refresh several, joined by commas).
        coalesce: Effects of one target, audience and key replace each other, newest first; ``None``: never.
        order: Log order: offset * `EFFECTS_PER_DECISION` + index. Comparable within one partition.
        due: Not before this time (ms); ``None``: as the eligibility says.
    """

    index: int
    target: Target
    audience: str = EVERYBODY
    coalesce: str | None = None
    eligibility: Eligibility = "at_once"
    order: int
    due: EpochMs | None = None
    effect: StoredEffect


def shown_by(effects: Sequence[PlannedEffect]) -> JsonText | None:
    """Return the card that everybody is to see after these effects of a decision, if they change it."""
    cards = [
        planned.effect.card
        for planned in effects
        if isinstance(planned.effect, UpdateCard | AnsweredCard) and planned.audience == EVERYBODY
    ]
    return cards[-1] if cards else None


class CardSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which card the handler was shown; absent when there was none to show."""

    version: int = 0
    chat_id: ChatId | None = None
    sent_at: EpochMs | None = None


class Decided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What was decided about one input: complete, so that the ledger can be folded from these alone.

    Attributes:
        partition: Where the input lies in the interactions topic.
        offset: Its offset there.
        redrive: 0, or which redrive of the input this decides.
        handler: The handler's name; `digest` is its code's.
        reason: Why it was refused or failed, in a few words.
        version: The card's version after this decision; 0 where no card is concerned.
        state: The card's whole state after it.
        content: The card we intend to show after it, unless an effect of this decision carries it: see `intended`.
        newest_at: Time of the card's newest decided click (ms).
        late: The click happened well before the newest decided one, so its card update was dropped.
        parks: It failed, and its card stands still until this input is decided.
        seen: The card the handler saw.
        winners: Whom this decision made a winner of its handler's race rule, and `voters` whom it counted: open ids.
            They join those of the card's earlier decisions by the same handler, in the order of `version`.
        request_id: The caller's id, for inputs that came as requests.
        open_id: Who acted, where the input says so.
        occurred_at: The input's time (ms).
        decided_at: The ledger's time when its batch was read (ms).
        requests: Ids of the requests that it made: updates of other cards, decided there.
    """

    event_id: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    partition: int
    offset: int
    delivery_key: DeliveryKey | None = None
    result: ClaimResult
    redrive: int = 0
    handler: str | None = None
    digest: str | None = None
    reason: str | None = None
    version: int = 0
    state: JsonText | None = None
    content: JsonText | None = None
    newest_at: EpochMs | None = None
    late: bool = False
    parks: bool = False
    seen: CardSeen | None = None
    winners: tuple[OpenId, ...] = ()
    voters: tuple[OpenId, ...] = ()
    request_id: str | None = None
    open_id: OpenId | None = None
    occurred_at: EpochMs
    decided_at: EpochMs
    effects: tuple[PlannedEffect, ...] = ()
    requests: tuple[EventId, ...] = ()

    @property
    def intended(self) -> JsonText | None:
        """The card we intend to show after this decision."""
        return shown_by(self.effects) if self.content is None else self.content

    def __repr__(self) -> str:
        """Name the input and the result, nothing that a person typed."""
        return f"Decided({self.event_id!r}, {self.result!r}, version={self.version}, effects={len(self.effects)})"


OutcomeStatus = Literal["succeeded", "failed", "superseded", "refused", "unknown"]
"""
``succeeded``: the platform said so. ``failed``: it refused, finally or for now (see `final`). ``superseded``: a
newer effect took its place. ``refused``: by a rule of ours, without a call. ``unknown``: it was begun, and it can
no longer be told or safely repeated.
"""


TOO_OLD: Final = 230031
"""The platform's code for a card past its time (docs/reference/platform.md, "Update a card by its message")."""

CardWay = Literal["message", "token", "cardkit"]
"""How a whole card was shown: by its message, by the right of a click, or as an entity."""

WayReason = Literal["shared", "exclusive", "entity"]
"""
Why so: everybody sees the card; one person alone is to see it, which only a click's right can do; it is an entity,
whose changes are counted together.
"""


class EffectOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What became of one effect, or of one attempt at it. Absolute, so that folding is idempotent and commutative.

    Attributes:
        message_id: The card of the interaction that the effect descends from.
        index: Which effect of the decision.
        k: Counts the outcomes of this effect from 1; the highest is the present one.
        final: No further attempt follows. Only a ``failed`` one may not be final.
        retry_at: When the next attempt is due (ms).
        folded: How many waiting effects this call took the place of; over its outcomes, how many it stands for.
        attempts: How many calls the platform answered about this target.
        code: The platform's code; `http_status` and `log_id` (``X-Tt-Logid``) of the same answer.
        reason: A few words of ours, from a closed list.
        sent_message_id: The message that a send created; `sent_at` its creation time (ms).
        chat_id: The chat that was sent to or renamed.
        shown: SHA-256 of the card now shown, and `shown_order` the order of the effect that showed it.
        card_format: The JSON version of that card.
        way: How a card was to be shown, and `because` why so; absent where there was nothing to choose.
        card_id: The entity that the card is, where that is known.
        sequence: The highest sequence used for this entity so far.
        uses_left: What is left of the click's update token; absent where none was needed.
        started_at: When the call began (ms, ledger's clock); absent without a call.
        finished_at: When the outcome was known (ms, ledger's clock).
        marked_at: When the answered mark was seen (ms, ledger's clock); absent without a mark.
    """

    event_id: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    index: int
    k: int
    kind: str
    target: Target
    status: OutcomeStatus
    final: bool = True
    retry_at: EpochMs | None = None
    folded: int = 0
    attempts: int = 0
    code: int | None = None
    http_status: int | None = None
    log_id: str | None = None
    reason: str | None = None
    sent_message_id: MessageId | None = None
    sent_at: EpochMs | None = None
    chat_id: ChatId | None = None
    shown: str | None = None
    shown_order: int | None = None
    card_format: CardFormat | None = None
    way: CardWay | None = None
    because: WayReason | None = None
    card_id: str | None = None
    sequence: int | None = None
    uses_left: int | None = None
    started_at: EpochMs | None = None
    finished_at: EpochMs
    marked_at: EpochMs | None = None


Heard = InteractionReceived | CallReturned | TimerFired
"""What handlers decide."""

Asked = Heard | RequestReceived
"""What is claimed and decided, once."""

Input = Asked | InteractionAnswered | RedriveRequested
"""What the worker consumes."""

Output = Decided | EffectOutcome
"""What the worker tells."""

Event = Input | Output

OUTCOME_STATUSES: tuple[OutcomeStatus, ...] = get_args(OutcomeStatus)
