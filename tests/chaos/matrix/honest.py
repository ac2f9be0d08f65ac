"""The history of a row in which every promise was kept, made of values alone, for others to doctor."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from shared.core.events import Action, Event, InteractionAnswered, InteractionReceived
from shared.core.ids import EventId
from shared.core.json_text import json_text
from tests.chaos.honest import APP, BEGAN, CARD, CHAT, TENANT, lines
from tests.chaos.matrix.facts import OWN_ANSWER
from tests.chaos.matrix.history import Attempt, Demands, Over, RowHistory, Sample, Sending

CLICKS: Final = 10
EVERY_MS: Final = 100
LOOK_MS: Final = 250
OWN: Final = msgspec.json.encode(OWN_ANSWER).decode()


def honest_row() -> RowHistory:
    """Return ten clicks on one card in one second, each answered after 10 ms, on one gateway, without any trouble."""
    return RowHistory(
        row="honest",
        began_at=BEGAN,
        demands=Demands(clicks=CLICKS),
        attempts=[attempt(number) for number in range(CLICKS)],
        interactions=lines(events()),
        samples=[sample(BEGAN + LOOK_MS * number) for number in range(8)],
        faults=[],
        ended=[],
        in_folder=[],
    )


def attempt(number: int, *, nth: int = 0, gateway: int = 0, after_ms: float = 0, leaves: bool = False) -> Attempt:
    """Return a click that was sent at its time, or so much later, and answered after 10 ms unless its client left."""
    at, event_id = BEGAN + number * EVERY_MS + after_ms, f"event-{number}"
    sending = Sending(event_id=event_id, card=CARD, nth=nth, gateway=gateway, intended_at=at, sent_at=at, leaves=leaves)
    if leaves:
        return Attempt(sending=sending, over=Over(event_id=event_id, nth=nth, at=at + 5, ending="left"))
    over = Over(event_id=event_id, nth=nth, at=at + 10, ending="answered", status=200, body=OWN)
    return Attempt(sending=sending, over=over)


def received(number: int) -> InteractionReceived:
    """Return the record of a click."""
    at = BEGAN + number * EVERY_MS
    return InteractionReceived(
        event_id=EventId(f"event-{number}"), kind="card_action", app_id=APP, tenant_key=TENANT, message_id=CARD,
        chat_id=CHAT, action=Action(tag="button", value=json_text({"action": "count"})), occurred_at=at,
        received_at=at + 2,
    )  # fmt: skip


def mark(number: int, *, delivered: bool = True) -> InteractionAnswered:
    """Return its answered mark."""
    at = BEGAN + number * EVERY_MS + 10
    return InteractionAnswered(
        event_id=EventId(f"event-{number}"),
        app_id=APP,
        tenant_key=TENANT,
        message_id=CARD,
        delivered=delivered,
        answered_at=at,
    )


def events(numbers: Iterable[int] = range(CLICKS)) -> Sequence[Event]:
    """Return clicks and marks as a gateway appends them."""
    return [event for number in numbers for event in (received(number), mark(number))]


def sample(at: int, *, gateway: int = 0, life: int = 0) -> Sample:
    """Return what a gateway without any trouble tells."""
    return Sample(
        at=at, gateway=gateway, life=life, is_open=False, own_rows=0, own_bytes=0, orphan_rows=0, failed=0, spilled=0,
        forwarded=0,
    )  # fmt: skip
