"""Decisions and inputs for tests of time travel."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from shared.core.effects import StoredEffect
from shared.core.events import Decided, Event, PlannedEffect
from shared.core.ids import EventId, Target
from shared.core.json_text import json_text
from shared.eventlog.port import Record
from tests.support.facts import APP, CARD, NOW, TENANT, record
from worker.traveling.again import Again
from worker.traveling.cards import Cards
from worker.traveling.findings import Difference
from worker.traveling.journey import ALWAYS, Journey, Period
from worker.traveling.pairs import BOUNDS, Bounds, Pair, Pairs
from worker.traveling.requests import Requests
from worker.traveling.words import Told

_T = TypeVar("_T")


def planned(effect: StoredEffect, target: str = "message:om_1", **fields: Any) -> PlannedEffect:
    """Return an effect as it is planned."""
    return PlannedEffect(**{"index": 1, "order": 1, "target": Target(target), "effect": effect, **fields})


def decided(event_id: str = "e1", *, state: Any = None, content: Any = None, **fields: Any) -> Decided:
    """Return a decision about a click of the card."""
    given: dict[str, Any] = {
        "event_id": EventId(event_id),
        "app_id": APP,
        "tenant_key": TENANT,
        "message_id": CARD,
        "partition": 0,
        "offset": 0,
        "result": "decided",
        "handler": "count",
        "digest": "d1",
        "state": None if state is None else json_text(state),
        "content": None if content is None else json_text(content),
        "occurred_at": NOW,
        "decided_at": NOW + 100,
    }
    return Decided(**{**given, **fields})


def records(events: Iterable[Event], *, first: int = 0) -> list[Record]:
    """Return records at offsets that follow each other."""
    return [record(event, offset=first + at) for at, event in enumerate(events)]


async def pieces(found: Sequence[Record], size: int = 3) -> AsyncIterator[Sequence[Record]]:
    """Yield records some at a time."""
    for start in range(0, len(found), size):
        yield found[start : start + size]


async def paired(
    inputs: Sequence[Record], outcomes: Sequence[Record], bounds: Bounds = BOUNDS
) -> tuple[list[Pair], Pairs]:
    """Return the pairs of two sequences of records."""
    pairs = Pairs(pieces(inputs), pieces(outcomes), lambda _: None, bounds=bounds)
    return [pair async for piece in pairs.pieces() for pair in piece], pairs


class Direct:
    """Calls handlers at once."""

    spent = False

    def __call__(self, step: Callable[[], _T], /) -> _T:
        """Call it."""
        return step()


@contextmanager
def file() -> Any:
    """Give a file that lies in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def journey(connection: sqlite3.Connection, app: Any, *, period: Period = ALWAYS) -> tuple[Journey, list[Difference]]:
    """Return a journey with an app's handlers, and the differences that it will have told."""
    told: list[Difference] = []
    again = Again(app_of=lambda _: app, call=Direct())
    cards = Cards(connection)
    taken = Journey(
        again=again,
        cards=cards,
        told=Told(connection),
        requests=Requests(connection),
        period=period,
        tell=told.append,
    )
    return taken, told
