"""What an hourly sweep asks of large tables is found by indexes (worker/ledger/old_rows.py, old_events.py)."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, get_args

from sqlalchemy import Connection, event, insert, text

from shared.clock import ManualClock
from worker.ledger.engine import Database
from worker.ledger.kept import Store, Sweep
from worker.ledger.sweeps import Sweeps
from worker.ledger.tables import card_tokens, cards, claims, dead_letters, effects, faces, targets

MANY: Final = 100_000
OLD: Final = 1_000
"""So many rows are old: a small share, as in an hour of a ledger of 45 days."""

AGE_MS: Final = 1_000_000
LIMIT: Final = 200
LARGE: Final = frozenset(table.name for table in (claims, cards, faces, effects, card_tokens, targets, dead_letters))
SCANS: Final = re.compile(r"Seq Scan on (\w+)|\bSCAN (\w+)")
STORES: Final[Sequence[Store]] = get_args(Store)


def _fill(connection: Connection, now: int) -> None:
    """Make a card, a click and what hangs on it, a hundred thousand times; the first thousand are old."""

    def at(n: int) -> int:
        return now - AGE_MS - OLD + n if n < OLD else now - AGE_MS + n

    for start in range(0, MANY, 10_000):
        some = range(start, start + 10_000)
        key = {n: {"app_id": "cli_a", "event_id": f"{n:032x}"} for n in some}
        card = {n: {"app_id": "cli_a", "message_id": f"om_{n:030x}"} for n in some}
        connection.execute(
            insert(claims),
            [{**key[n], **card[n], "result": "decided", "redrive": 0, "partition": n % 12, "offset": n,
              "claimed_at": at(n)} for n in some],
        )  # fmt: skip
        connection.execute(insert(cards), [{**card[n], "version": 1} for n in some])
        connection.execute(insert(faces), [{**card[n], "sent_at": at(n)} for n in some])
        performed = {"audience": "*", "eligibility": "at_once", "status": "succeeded", "k": 1, "attempts": 1, "due": 1}
        times = {"occurred_at": 1, "received_at": 1, "decided_at": 1}
        what = {"index": 1, "tenant_key": "t", "kind": "UpdateCard", "payload": b"{}", **performed, **times}
        connection.execute(
            insert(effects), [{**key[n], **card[n], "target": f"message:om_{n:030x}", "order": n, **what} for n in some]
        )
        connection.execute(
            insert(targets),
            [{"app_id": "cli_a", "target": f"message:om_{n:030x}", "owner": "", "until": 0, "leased_at": at(n),
              "paced_until": 0, "applied_event_id": f"{n:032x}", "applied_index": 1} for n in some],
        )  # fmt: skip
        connection.execute(
            insert(card_tokens),
            [{**key[n], "kind": "card", "token": b"", "received_at": at(n), "uses": 0} for n in some],
        )
        connection.execute(
            insert(dead_letters),
            [{"app_id": "cli_a", "event_id": f"dead{n:028x}", "handler": "h", "reason": "r", "interaction": b"{}",
              "died_at": at(n)} for n in some],
        )  # fmt: skip


@contextmanager
def _explained(database: Database) -> Iterator[list[str]]:
    """Give the plans of all statements that are run meanwhile on large tables."""
    plans: list[str] = []
    engine: Any = database._writer._engine  # type: ignore[attr-defined]  # noqa: SLF001  (what a worker runs on)
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    engine = getattr(engine, "sync_engine", engine)

    def before(
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        _context: Any,
        _many: bool,  # noqa: FBT001
    ) -> None:
        if any(name in statement for name in LARGE) and not statement.startswith("EXPLAIN"):
            cursor.execute(explain + statement, parameters)
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(engine, "before_cursor_execute", before)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", before)


async def test_no_sweep_goes_through_a_large_table(ledger_url: str) -> None:
    """Without statistics or with them, whatever it deletes."""
    clock = ManualClock()
    database = Database(ledger_url, clock)
    try:
        await database.transaction(lambda connection: _fill(connection, clock.now()))
        plans = await _plans(database)
        await database.transaction(lambda connection: connection.execute(text("ANALYZE")))
        plans += await _plans(database)
    finally:
        await database.close()
    assert len(plans) > 2 * len(LARGE)
    through = {name for plan in plans for found in SCANS.findall(plan) for name in found if name in LARGE}
    assert set() == through, "\n\n".join(plan for plan in plans if SCANS.search(plan))


async def _plans(database: Database) -> list[str]:
    sweeps = Sweeps(database)
    with _explained(database) as plans:
        for store in STORES:
            last = (await sweeps.sweep(Sweep(store=store, older_than_ms=AGE_MS, limit=LIMIT))).last
            await sweeps.sweep(Sweep(store=store, older_than_ms=AGE_MS, limit=LIMIT, after=last))
    return plans
