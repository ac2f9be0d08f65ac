"""What was decided about an input: the claim, the card's new state, the planned effects."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from shared.core.effects import AnsweredCard, StoredEffect, UpdateCard
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId, MessageId, OpenId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.core.races import Standing, Standings, joined

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
        order: Log order: offset * `EFFECTS_PER_DECISION` + index. Comparable within one partition. Of reminders of an
            input that is decided again: where it was logged first.
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

    def races(self, before: Standings) -> Standings:
        """Return how the races on its card stand after it: who joined them is told here, who was there is not."""
        if self.handler is None:
            return before
        return joined(before, self.handler, Standing(winners=self.winners, voters=self.voters))

    def counts_from(self, planned: PlannedEffect) -> EpochMs:
        """
        Return the time that an effect of this decision counts from: its input's (ms).

        A chat's name counts from the newest click of its card, as the state does that it tells of: people's clicks are
        not logged in the order of their times, and a name must not go back while its card goes on. The name of a click
        that is `late` stays behind, as its card does.
        """
        if planned.coalesce != NAME or self.late or self.newest_at is None:
            return self.occurred_at
        return max(self.occurred_at, self.newest_at)

    def __repr__(self) -> str:
        """Name the input and the result, nothing that a person typed."""
        return f"Decided({self.event_id!r}, {self.result!r}, version={self.version}, effects={len(self.effects)})"
