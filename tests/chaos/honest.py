"""A small history in which every promise was kept, made of values alone, for others to doctor."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.app.interaction import Interaction
from shared.core.codec import encode
from shared.core.decision import Card
from shared.core.effects import RenameChat, SendText, StoredEffect, UpdateCard
from shared.core.events import (
    Action,
    Decided,
    EffectOutcome,
    Event,
    InteractionAnswered,
    InteractionReceived,
    Output,
    PlannedEffect,
)
from shared.core.fold import fold
from shared.core.ids import AppId, ChatId, EventId, MessageId, Target, TenantKey
from shared.core.json_text import json_text
from shared.core.targets import chat_target, message_target
from tests.chaos.handlers import card_showing, count
from tests.chaos.history import (
    Attempt,
    Call,
    CardSeen,
    ChatSeen,
    Clicked,
    Delivered,
    Demands,
    FaultDone,
    History,
    LedgerRow,
    Line,
    Version,
)
from tests.support.fold_equals_ledger import rows

APP: Final = AppId("cli_chaos")
TENANT: Final = TenantKey("tenant")
CARD: Final = MessageId("om_1")
CHAT: Final = ChatId("oc_1")
PARTITION: Final = 3
CLICKS: Final = 10
BEGAN: Final = 1_750_000_000_000
EVERY_MS: Final = 1_000
SETTLE_MS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One click, from the person to the platform."""

    received: InteractionReceived
    mark: InteractionAnswered
    decided: Decided
    outcomes: tuple[EffectOutcome, ...]


def honest_history() -> History:
    """Return ten clicks on one card: each answered after 10 ms, decided, and shown after the settle gap."""
    stories = [_story(number) for number in range(CLICKS)]
    outputs = [output for story in stories for output in _outputs(story)]
    inputs: list[Event] = [fact for story in stories for fact in (story.received, story.mark)]
    effects = [effect.effect for story in stories for effect in story.decided.effects]
    return History(
        began_at=BEGAN,
        ended_at=BEGAN + CLICKS * EVERY_MS,
        demands=Demands(kills={"gateway": 1}),
        clicks=[_clicked(story.received) for story in stories],
        deliveries=[_delivered(story.received) for story in stories],
        interactions=lines(inputs),
        outcomes=lines(outputs),
        cards=[CardSeen(message_id=CARD, chat_id=CHAT, versions=(_as_sent(), *map(_version, stories)))],
        chats=[ChatSeen(chat_id=CHAT, names=("chaos", *_names(effects)), texts=_texts(effects))],
        calls=[_call(number, story) for number, story in enumerate(stories, start=1)],
        broken=[],
        faults=[FaultDone(at=BEGAN + 1, kind="kill", role="gateway", name="gateway-1")],
        ended=[],
        unquiet=[],
        unlike=[],
        ledger=[
            LedgerRow(table=table, key=key, columns=dict(columns))
            for (table, key), columns in rows(fold(outputs)).items()
        ],
    )


def lines(events: Iterable[Event]) -> list[Line]:
    """Return events as records of one partition."""
    found = []
    for offset, event in enumerate(events):
        encoded = encode(event)
        headers = tuple((name, value.decode()) for name, value in encoded.headers)
        value = encoded.value.decode()
        found.append(Line(partition=PARTITION, offset=offset, key=encoded.key, headers=headers, value=value))
    return found


def _outputs(story: Story) -> Iterable[Output]:
    yield story.decided
    yield from story.outcomes


def _story(number: int) -> Story:
    at = BEGAN + number * EVERY_MS
    received = InteractionReceived(
        event_id=EventId(f"event-{number}"), kind="card_action", app_id=APP, tenant_key=TENANT, message_id=CARD,
        chat_id=CHAT, action=Action(tag="button", value=json_text({"action": "count"})), occurred_at=at, received_at=at,
    )  # fmt: skip
    mark = InteractionAnswered(
        event_id=received.event_id, app_id=APP, tenant_key=TENANT, message_id=CARD, answered_at=at + 10
    )
    decided = _decided(received, number)
    return Story(
        received=received,
        mark=mark,
        decided=decided,
        outcomes=tuple(_outcome(decided, planned) for planned in decided.effects),
    )


def _decided(received: InteractionReceived, number: int) -> Decided:
    card = Card(version=number, state_text=json_text({"clicks": number})) if number else None
    decision = count(Interaction(received), card)
    return Decided(
        event_id=received.event_id, app_id=APP, tenant_key=TENANT, message_id=CARD, partition=PARTITION,
        offset=2 * number, result="decided", handler="count", version=number + 1, state=json_text(decision.state),
        newest_at=received.occurred_at, occurred_at=received.occurred_at, decided_at=received.received_at + 5,
        effects=tuple(
            PlannedEffect(index=index, target=_target(effect), order=2 * number * 1024 + index, effect=effect)
            for index, effect in enumerate(decision.effects, 1)
        ),
    )  # fmt: skip


def _target(effect: StoredEffect) -> Target:
    return message_target(CARD) if isinstance(effect, UpdateCard) else chat_target(CHAT)


def _outcome(decided: Decided, planned: PlannedEffect) -> EffectOutcome:
    return EffectOutcome(
        event_id=decided.event_id, app_id=APP, tenant_key=TENANT, message_id=CARD, index=planned.index, k=1,
        kind=type(planned.effect).__name__, target=planned.target, status="succeeded",
        started_at=decided.decided_at + SETTLE_MS, finished_at=decided.decided_at + SETTLE_MS + 20,
    )  # fmt: skip


def _clicked(received: InteractionReceived) -> Clicked:
    attempt = Attempt(at=received.received_at, status=200, toast="info", answered_in_ms=10)
    return Clicked(message_id=CARD, event_id=received.event_id, intended_at=received.received_at, attempts=(attempt,))


def _delivered(received: InteractionReceived) -> Delivered:
    at = received.received_at
    return Delivered(event_id=received.event_id, began_at=at, ended_at=at + 10, status=200)


def _as_sent() -> Version:
    return Version(at=BEGAN - 1, by="sent", card=json_text(card_showing(0, "")))


def _version(story: Story) -> Version:
    shown = next(each.effect.card for each in story.decided.effects if isinstance(each.effect, UpdateCard))
    return Version(at=story.mark.answered_at + SETTLE_MS, by="patch", card=shown)


def _call(number: int, story: Story) -> Call:
    """Return the call that showed the click; that of its text or its name is left out."""
    return Call(
        n=number,
        at=story.mark.answered_at + SETTLE_MS,
        method="PATCH",
        path=f"/open-apis/im/v1/messages/{CARD}",
        api="im.v1.message.patch",
        target=CARD,
        code=0,
        status=200,
    )


def _names(effects: Iterable[StoredEffect]) -> tuple[str, ...]:
    return tuple(effect.name for effect in effects if isinstance(effect, RenameChat))


def _texts(effects: Iterable[StoredEffect]) -> tuple[str, ...]:
    return tuple(effect.text for effect in effects if isinstance(effect, SendText))
