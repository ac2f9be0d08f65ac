"""`cardwire db prune`, as an operator types it."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from shared.clock import ManualClock
from shared.core.events import InteractionReceived
from shared.eventlog.open import open_log
from shared.eventlog.port import TOPICS, NewRecord, Span
from tests.scenario.handlers import COUNT, app_of_stories
from tests.support.commands import environment, run
from tests.support.documents import is_documented
from tests.support.dump import dump
from tests.support.facts import click, mark
from tests.support.world import Stack, World, clock_of_now, world
from worker.keeping import DAY_MS

pytestmark = pytest.mark.slow


async def _prune(running: World, folder: Path, *given: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command beside a world that runs in this process."""
    env = environment(folder, CARDWIRE_LOG=running.stack.log, CARDWIRE_LEDGER=running.stack.ledger, **settings)
    return await asyncio.to_thread(run, "db", "prune", *given, env=env, cwd=folder)


async def _decided(running: World, *clicks: InteractionReceived) -> None:
    """Have clicks decided, by a worker that ends before it would sweep itself."""
    async with running.worker():
        await running.append(*clicks, *map(mark, clicks))
        await running.quiet()


async def test_what_is_old_is_counted_then_deleted(either_ledger: Stack, tmp_path: Path) -> None:
    """Clicks of 46 days ago, with all that hangs on them, and what nobody could read then; those of yesterday stay."""
    clock = ManualClock(clock_of_now().now() - 46 * DAY_MS)
    then = ManualClock(clock.now())
    async with world(either_ledger, app_of_stories(), clock=clock, workers=0) as running:
        await _decided(running, *(click(f"old{n}", message_id=f"om_old{n % 2}", value=COUNT) for n in range(4)))
        clock.advance(45 * DAY_MS / 1000)
        await _decided(running, click("new", message_id="om_new", value=COUNT))
        old_log = open_log(either_ledger.log, clock=then)
        await old_log.append([NewRecord(topic=TOPICS.dead, key="k", value=b"?", headers=(), timestamp=0)])
        rehearsed = await _prune(running, tmp_path, "--dry-run", "--json")
        for_people = await _prune(running, tmp_path)
        again = await _prune(running, tmp_path, "--json")
        left = await dump(running.ledger.database)
        parked = [span for span in (await old_log.spans(TOPICS.dead)).values() if span.end]
        await old_log.close()
    assert (0, "") == (rehearsed.returncode, rehearsed.stderr)
    gone = json.loads(rehearsed.stdout)
    deleted = [gone["rows"][name] for name in ("claims", "effects", "cards", "log_dead")]
    assert (True, [4, 4, 2, 1]) == (gone["dry_run"], deleted)
    assert (0, "") == (for_people.returncode, for_people.stderr)
    assert f"{sum(gone['rows'].values())} rows were deleted" in for_people.stdout
    assert 0 == sum(json.loads(again.stdout)["rows"].values())
    assert ["new"] == [row["event_id"] for row in left.claims]
    assert [Span(begin=1, end=1)] == parked


def test_times_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    """As a worker refuses them: before anything is deleted."""
    env = environment(tmp_path, CARDWIRE_KEEP_DAYS="30")
    ran = run("db", "prune", env=env, cwd=tmp_path)
    lines = ran.stderr.splitlines()
    assert (2, 2) == (ran.returncode, len(lines))
    assert all(is_documented(line.removeprefix("cardwire: ")) for line in lines)
    assert [] == [*tmp_path.glob("*.db"), *tmp_path.glob("cardwire-data")]
