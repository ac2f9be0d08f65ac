"""
A batch takes its locks in the order that worker/ledger/port.py lists, so that nobody who keeps to it deadlocks with it.

Somebody else holds a table's rows, the batch comes to them and waits; then it must hold nothing of the tables behind.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import pytest

from shared.core.ids import EventId
from tests.contract.ledger.words import APP, CARD, Decider, Opener, card, claim, effect, mark, told, waiting
from tests.support.dump import dump
from worker.ledger import port
from worker.ledger.decided import EVERY_APP, DeadLetter, Suspension
from worker.ledger.tables import METADATA

pytestmark = pytest.mark.postgres

LISTED: Final[Sequence[str]] = re.findall(r"\w+", re.findall(r"Lock order[^:]*: ([^.]*)\.", port.__doc__ or "")[0])
CHANGED: Final = ("positions", "claims", "cards", "targets", "effects", "dead_letters", "suspensions", "apps")
"""Tables of which a batch may change rows that are there; to the others it only adds."""


def written(at: int, **more: Any) -> Mapping[str, Any]:
    """Return a batch that changes all of them, if there was one before it."""
    letter = DeadLetter(
        app_id=APP, event_id=EventId("dead"), handler="h", reason="ValueError", interaction=b"{}", kind="k"
    )
    return {
        "cards": [card(version=at)],
        "dead_letters": [letter],
        "suspensions": [Suspension(app_id=EVERY_APP, handler="h", misses=at)],
        "new_style_at": {APP: at},
        "outbox": [told(f"{at}")],
        **more,
    }


def test_every_table_has_its_place() -> None:
    """Less the budgets, reserved by themselves, and what a rebuild notes in a ledger that nobody works with yet."""
    assert {table.name for table in METADATA.sorted_tables} - {"budgets", "rebuilds"} == set(LISTED)
    assert [name for name in LISTED if name in CHANGED] == list(CHANGED)


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("held", CHANGED)
async def test_a_batch_that_waits_for_rows_of_a_table_holds_none_of_those_behind(
    ledger_url: str, opened: Opener, held: str
) -> None:
    """Also for the claim of a click that was decided earlier, which its answered mark changes."""
    ledger = opened(ledger_url)
    await ledger.begin(1)
    decider = Decider(ledger)
    asks = effect("e1", 2, target="call:e1/2", kind="FetchMessage", due_in_ms=60_000)
    await decider.write(**written(1, claims=[claim("e1")], effects=[waiting("e1", 1), asks]))
    holder = await asyncpg.connect(ledger_url)
    try:
        async with holder.transaction(), asyncio.timeout(30):
            assert await holder.fetch(f'SELECT 1 FROM "{held}" FOR UPDATE')  # noqa: S608  (a name of ours)
            batch = written(2, claims=[claim("e2")], effects=[effect("e2", message_id=CARD)], marks=[mark("e1")])
            writing = asyncio.create_task(decider.write(**batch))
            await _is_waiting(ledger_url)
            for behind in CHANGED[CHANGED.index(held) + 1 :]:
                assert await holder.fetch(f'SELECT 1 FROM "{behind}" FOR UPDATE NOWAIT')  # noqa: S608
        await writing
    finally:
        await holder.close()
    assert {2} == {row["version"] for row in (await dump(ledger.database)).cards}


async def _is_waiting(url: str) -> None:
    """Return when somebody waits for a lock in this database."""
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    watcher = await asyncpg.connect(url)
    try:
        while not await watcher.fetch(waits):  # noqa: ASYNC110  (a database sets no event of ours)
            await asyncio.sleep(0.01)
    finally:
        await watcher.close()
