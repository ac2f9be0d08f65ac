import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.faults import Freeze, Join, Restart, Weather, shifted
from tests.chaos.history import keep
from tests.chaos.processes import ROOT
from tests.chaos.stack import on_services
from tests.chaos.tables import said
from tests.chaos.workers.rows import FULL, SMALL, Row
from tests.chaos.workers.rules import ENOUGH, check
from tests.chaos.workers.run import run_row
from tests.support.kafka import KafkaBroker
from tests.support.postgres import PostgresServer
from tests.support.tries import best_of, in_time

SEED = 7
LAPSE_S = 60
"""How long the machine may take to start a program."""


@pytest.mark.chaos
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.name)
async def test_every_card_is_right_whatever_befalls_the_worker(
    kafka_broker: KafkaBroker, postgres_server: PostgresServer, tmp_path: Path, row: Row
) -> None:
    """Each click is decided once, each effect done or superseded, and no card waits for one that cannot be updated."""

    async def attempt(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        stack = on_services(kafka_broker, postgres_server.databases.create(), postgres_server)
        history = await run_row(row, stack, seed=SEED, folder=folder, prefix=f"workers-{tmp_path.name}-{number}.")
        violations = check(history)
        # On a machine without time a fault may be over before anything has met it.
        in_time(holds={violation.rule for violation in violations} != {ENOUGH}, what=violations)
        if violations:
            keep(history, folder)
            kept = f"history     {folder} (python -m tests.chaos --matrix workers --check …)"
            pytest.fail("\n".join([*said(history, violations), kept]), pytrace=False)

    await best_of(attempt)


def test_every_row_that_the_tests_run_is_a_short_one_of_the_whole_table() -> None:
    """What is tried at every run is what the table tells of, on a smaller scale."""
    whole = {row.name: row for row in FULL}
    assert [] == [row.name for row in SMALL if row.seconds >= whole[row.name].seconds]


@pytest.mark.parametrize("row", FULL, ids=lambda row: row.name)
def test_the_same_seed_repeats_a_rows_faults(row: Row) -> None:
    """At the same times, to the same processes; another seed is another run of bad luck."""
    first, again = (shifted(SEED, row.all_faults, processes=len(row.clocks)) for _ in range(2))
    assert first == again
    assert first != shifted(SEED + 1, row.all_faults, processes=len(row.clocks))


@pytest.mark.parametrize("row", [*FULL, *SMALL], ids=lambda row: f"{row.name} {row.seconds:g}")
def test_a_rows_faults_are_over_before_its_clicks_are(row: Row) -> None:
    """Whatever the seed, there are clicks afterwards that show that all is well."""
    for seed in range(20):
        faults = shifted(seed, row.all_faults, processes=len(row.clocks))
        lasting = [each for each in faults if isinstance(each, Restart | Freeze | Join | Weather)]
        assert 0 < faults[0].at_s
        assert row.seconds > max(each.at_s for each in faults)
        assert row.seconds > max(each.at_s + each.for_s for each in lasting)


def test_a_worker_can_be_given_a_wrong_clock() -> None:
    """What it asks is an hour ahead, and goes as fast as the right one."""
    program = (
        "from tests.chaos.workers.clock import shift; shift(3600); import time; from shared.clock import SystemClock;"
        "print(SystemClock().now(), time.time())"
    )
    before = time.time()
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    now_ms, now_s = map(float, ran.stdout.split())
    assert [True, True] == [0 <= now - 3600 - before < LAPSE_S for now in (now_ms / 1000 + 0.001, now_s)]
