"""
Updates of other cards: decided here, and recorded in the partition of the card that they update.

A decision tells only the ids of what it asks for; what that is lies with the other card, which another process may
walk. So both sides are kept in a temporary file, and compared when all partitions are walked. That an update is new
or gone shows in the decision itself.
"""

import sqlite3
from collections.abc import Iterator
from typing import Final

import msgspec

from shared.core.events import RequestReceived
from shared.core.ids import AppId, EventId
from worker.traveling.compare import compare_asked
from worker.traveling.findings import Difference
from worker.traveling.store import Table

GATHERED: Final = 500
"""So many are written together."""

RequestKey = tuple[AppId, EventId]


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """
    An update of another card, as it is asked for now.

    Attributes:
        by: The input that asks for it, as a difference, should it be one.
        is_counted: Its handler has decided otherwise about its card before.
    """

    by: Difference
    request: RequestReceived
    is_counted: bool


class Requests:
    """
    Both sides of all updates of other cards.

    Args:
        file: A temporary one, which several processes may fill at once.
    """

    def __init__(self, file: sqlite3.Connection) -> None:
        self._file = file
        self._theirs = Table(file, "recorded_requests", RequestReceived)
        self._ours = Table(file, "requests", Asking)
        self._new_theirs: list[tuple[RequestKey, RequestReceived]] = []
        self._new_ours: list[tuple[RequestKey, Asking]] = []

    def theirs(self, key: RequestKey, request: RequestReceived) -> None:
        """Take in one of the record."""
        self._new_theirs.append((key, request))
        if len(self._new_theirs) >= GATHERED:
            self.flush()

    def ours(self, key: RequestKey, asking: Asking) -> None:
        """Take in one of the travelled world."""
        self._new_ours.append((key, asking))
        if len(self._new_ours) >= GATHERED:
            self.flush()

    def flush(self) -> None:
        """Write down what was taken in."""
        self._theirs.put(self._new_theirs)
        self._ours.put(self._new_ours)
        self._new_theirs, self._new_ours = [], []

    def both(self) -> Iterator[tuple[RequestReceived, Asking]]:
        """Yield those that both sides have."""
        asked = "SELECT app, id FROM requests JOIN recorded_requests USING (app, id) ORDER BY app, id"
        for key in self._file.execute(asked):
            was, now = self._theirs.get(key), self._ours.get(key)
            if was is not None and now is not None:
                yield was, now


def asked_otherwise(requests: Requests, *, with_values: bool) -> Iterator[tuple[Difference, bool]]:
    """Yield the inputs that ask for something else than they did, and whether that is the first cause of their card."""
    told: set[tuple[str, str, str]] = set()
    for was, now in requests.both():
        changes = compare_asked(was, now.request, with_values=with_values)
        if changes:
            one = msgspec.structs.replace(now.by, changes=changes)
            card = (one.handler, one.app_id, one.message_id or one.event_id)
            is_first = one.why != "follows" and not now.is_counted and card not in told
            told.add(card)
            yield one, is_first
