"""
A ledger rebuilt from the log, row by row beside the one that made the log.

Run it once nothing is left to do and the outbox is empty. Left out, because no log can restore it: leases, budgets,
pacing, wishes to send again, and when a pending effect is due or was begun. When something was committed no log can
tell either: its record tells when the batch was read, and that is what a rebuilt ledger has to hold, to the
millisecond, and no later than the old one's. What only an input tells is compared where retention has left that input.
"""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from shared.clock import Clock
from shared.core.codec import decode, header
from shared.core.events import Decided
from shared.core.json_text import EpochMs
from shared.eventlog.port import EventLog, Topics
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from tests.support.dump import Dump, Row, dump
from tests.support.fold_equals_ledger import TOLD_SINCE_0003
from worker.history.walk import walk
from worker.ledger.engine import Database
from worker.ledger.open import open_ledger
from worker.ledger.restoring import open_restoring
from worker.ledger.writes import RETURNING
from worker.rebuilding.rebuild import Rebuilt, rebuild
from worker.settings import SETTLE_MS

Column = Callable[[Any, Any], bool]
"""Says whether a column of the old ledger and the same one of the new one go together."""

STYLE_MS: Final = 60_000
"""How often an app's newest new-style callback is written down at most."""


def _is(old: Any, new: Any) -> bool:
    return bool(old == new)


def _any(_old: Any, _new: Any) -> bool:
    return True


def _both(old: Any, new: Any) -> bool:
    return (old is None) == (new is None)


def _not_later(old: Any, new: Any) -> bool:
    return bool(new <= old)


def _not_much_later(old: Any, new: Any) -> bool:
    return bool(old <= new < old + STYLE_MS)


def _told(at: EpochMs) -> Column:
    """Return the rule that a column holds what the log told, and that it was so before it was committed."""
    return lambda old, new: bool(at == new <= old)


def _since(at: EpochMs) -> Column:
    return lambda _old, new: bool(at <= new)


_EFFECTS: Final[Mapping[str, Column]] = {"begun_at": _both, "marked_at": _both, "redriven_at": _both}
_OF_INPUT: Final[Mapping[str, Column]] = {"received_at": _any, "marked_at": _any, "delivered": _any}


@dataclass(slots=True, kw_only=True)
class Times:
    """When an input was decided at last, when it failed first, and when an effect was planned, as the log tells."""

    claims: dict[tuple[str, str], tuple[int, EpochMs]] = field(default_factory=dict)
    letters: dict[tuple[str, str], EpochMs] = field(default_factory=dict)
    effects: dict[tuple[str, str, int], EpochMs] = field(default_factory=dict)

    def take(self, decided: Decided) -> None:
        """Take a decision in; what was told before is told again."""
        key = (decided.app_id, decided.event_id)
        if self.claims.get(key, (-1, 0))[0] >= decided.redrive:
            return
        self.claims[key] = (decided.redrive, decided.decided_at)
        self.letters.setdefault(key, decided.decided_at)
        self.effects.update({(*key, planned.index): decided.decided_at for planned in decided.effects})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remade:
    """A rebuilt ledger: its rows, what the rebuild said, and what was there for it to read."""

    rows: Dump
    rebuilt: Rebuilt
    ids: frozenset[str]
    times: Times
    now: int


async def remade(
    log: EventLog, topics: Topics, url: str, *, clock: Clock | None = None, settle_ms: int = SETTLE_MS
) -> Remade:
    """Rebuild into the empty database at ``url``."""
    restoring = open_restoring(url, settle_ms=settle_ms, clock=clock)
    try:
        await restoring.check()
        rebuilt = await rebuild(log, restoring, topics)
        now = await restoring.now()
    finally:
        await restoring.close()
    database = Database(url, clock)
    try:
        rows = await dump(database)
    finally:
        await database.close()
    ids, times = await _ids(log, topics.interactions), await _times(log, topics.outcomes)
    return Remade(rows=rows, rebuilt=rebuilt, ids=ids, times=times, now=now)


async def _ids(log: EventLog, topic: str) -> frozenset[str]:
    found: set[str] = set()
    for partition, span in (await log.spans(topic)).items():
        async for piece in walk(log, topic, partition, begin=span.begin, end=span.end):
            found.update(header(record.headers, "ce_id") or "" for record in piece)
    return frozenset(found)


async def _times(log: EventLog, topic: str) -> Times:
    times = Times()
    for partition, span in (await log.spans(topic)).items():
        async for piece in walk(log, topic, partition, begin=span.begin, end=span.end):
            for event in (decode(record.headers, record.value) for record in piece):
                if isinstance(event, Decided):
                    times.take(event)
    return times


async def assert_rebuilt_equals_ledger(
    log: EventLog, topics: Topics, old: Dump, *, clock: Clock | None = None, swept: Collection[tuple[str, str]] = ()
) -> None:
    """Fail with the first differences between a rebuilt ledger and the old one, if there are any."""
    found = await unlike(log, topics, old, clock=clock, swept=swept)
    assert not found, f"{len(found)} differences between a rebuilt ledger and the old one:\n" + "\n".join(found[:10])


async def unlike(
    log: EventLog, topics: Topics, old: Dump, *, clock: Clock | None = None, swept: Collection[tuple[str, str]] = ()
) -> list[str]:
    """
    Rebuild into a SQLite file of its own and return where that differs from the old ledger.

    Args:
        swept: Events, by app and id, that the old ledger has forgotten, because they are older than what it keeps.
    """
    with tempfile.TemporaryDirectory(prefix="cardwire-rebuilt-") as folder:
        url = f"sqlite:///{shutil.copy(await _template(), Path(folder) / 'rebuilt.db')}"
        return differences(old, await remade(log, topics, url, clock=clock), swept)


async def _template() -> Path:
    path = _folder() / "template.db"
    if not path.exists():
        ledger = open_ledger(f"sqlite:///{path}")
        await ledger.upgrade()
        await ledger.close()
    return path


@cache
def _folder() -> Path:
    return Path(_kept().name)


@cache
def _kept() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="cardwire-rebuilt-template-")


def differences(old: Dump, new: Remade, swept: Collection[tuple[str, str]] = ()) -> list[str]:
    """Return every column that is not as it was, a line each."""
    returning = {(row["app_id"], row["event_id"]) for row in old.effects if row["kind"] in RETURNING}

    def claim(row: Row) -> Mapping[str, Column]:
        # Of what failed first and was redriven, the mark came when nobody had to know of it yet.
        rule = _any if row["redrive"] and row["answered_at"] is None else _both
        answered = {"answered_at": rule} if (row["app_id"], row["event_id"]) in returning else {}
        untold = dict.fromkeys(TOLD_SINCE_0003, _any) if row["occurred_at"] is None else {}
        _, decided_at = new.times.claims[row["app_id"], row["event_id"]]
        times = {"claimed_at": _told(decided_at), "answered_at": _any}
        return {**times, **(answered if row["event_id"] in new.ids else {}), **untold}

    def effect(row: Row) -> Mapping[str, Column]:
        decided_at = new.times.effects[row["app_id"], row["event_id"], row["index"]]
        known: Mapping[str, Column] = {**_EFFECTS, "decided_at": _told(decided_at), "due": _told(decided_at)}
        if row["status"] == "pending":
            # A mark, which puts it forward, may be older than the decision, and is no older than the click.
            known = {**known, "begun_at": _any, "due": _since(min(decided_at, row["received_at"]))}
        # A mark that came while the call was under way was not told with it.
        untold = row["marked_at"] is not None and b'"marked_at"' not in (row["outcome"] or b'"marked_at"')
        # That it was there with the click itself is told with the outcome of what did not wait for it.
        untold = untold or (row["status"] == "pending" and row["eligibility"] == "at_once")
        marked = {**_OF_INPUT, "received_at": _is} if untold and row["event_id"] in new.ids else _OF_INPUT
        return {**known, **(marked if untold or row["event_id"] not in new.ids else {})}

    def exact(_row: Row) -> Mapping[str, Column]:
        return {}

    valid = new.now - CARD_TOKEN_VALID_MS
    tables: list[tuple[str, tuple[str, ...], Iterable[Row], Iterable[Row], Callable[[Row], Mapping[str, Column]]]] = [
        ("claims", ("app_id", "event_id"), old.claims, _without(swept, new.rows.claims), claim),
        ("cards", ("app_id", "message_id"), old.cards, new.rows.cards, exact),
        ("faces", ("app_id", "message_id"), _known(old.faces), _known(new.rows.faces), exact),
        ("effects", ("app_id", "event_id", "index"), old.effects, _without(swept, new.rows.effects), effect),
        (
            "card_tokens",
            ("app_id", "event_id", "kind"),
            [row for row in old.tokens if row["received_at"] > valid and row["event_id"] in new.ids],
            new.rows.tokens,
            exact,
        ),
        (
            "dead_letters",
            ("app_id", "event_id"),
            [row for row in old.letters if row["event_id"] in new.ids],
            new.rows.letters,
            lambda row: {"died_at": _told(new.times.letters[row["app_id"], row["event_id"]])},
        ),
        ("apps", ("app_id",), old.apps, new.rows.apps, lambda _: {"new_style_at": _not_much_later}),
        (
            "positions",
            ("partition",),
            old.positions,
            new.rows.positions,
            lambda _: {"next": _not_later, "last_id": _any},
        ),
    ]
    return [line for table in tables for line in _table(*table)]


def _without(swept: Collection[tuple[str, str]], made: Iterable[Row]) -> Iterable[Row]:
    return [row for row in made if (row["app_id"], row["event_id"]) not in swept]


def _known(faces: Iterable[Row]) -> Iterable[Row]:
    """Return faces of which anything is known."""
    return [row for row in faces if any(row[name] is not None for name in row.keys() - {"app_id", "message_id"})]


def _table(
    name: str,
    key: tuple[str, ...],
    old: Iterable[Row],
    new: Iterable[Row],
    columns: Callable[[Row], Mapping[str, Column]],
) -> Iterator[str]:
    before = {tuple(row[each] for each in key): row for row in old}
    after = {tuple(row[each] for each in key): row for row in new}
    for which in sorted(before.keys() ^ after.keys(), key=repr):
        yield f"{name}{list(which)}: {'lost' if which in before else 'made up'}"
    for which in sorted(before.keys() & after.keys(), key=repr):
        row, made = before[which], after[which]
        rules = columns(row)
        for column in row:
            if not rules.get(column, _is)(row[column], made[column]):
                yield f"{name}{list(which)}.{column}: {row[column]!r}, rebuilt {made[column]!r}"
