from pathlib import Path

import pytest

from tests.chaos.checker import check
from tests.chaos.history import History, keep
from tests.chaos.report import report
from tests.chaos.run import SMALL, TINY, run_chaos
from tests.chaos.stack import on_services, on_sqlite
from tests.support.kafka import KafkaBroker

SEED = 7


@pytest.mark.chaos
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_nothing_is_lost_when_processes_and_the_broker_die(
    kafka_broker: KafkaBroker, postgres_url: str, tmp_path: Path
) -> None:
    """2,000 clicks on Kafka and PostgreSQL, eight SIGKILLs and a broker restart: every promise is kept."""
    stack = on_services(kafka_broker, postgres_url)
    _assert_kept_its_promises(
        await run_chaos(SMALL, stack, seed=SEED, folder=tmp_path, prefix=f"chaos-{tmp_path.name}."), tmp_path
    )


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_nothing_is_lost_when_processes_on_sqlite_die(tmp_path: Path) -> None:
    """600 clicks on SQLite files and six SIGKILLs: every promise is kept."""
    _assert_kept_its_promises(await run_chaos(TINY, on_sqlite(tmp_path), seed=SEED, folder=tmp_path), tmp_path)


def _assert_kept_its_promises(history: History, folder: Path) -> None:
    violations = check(history)
    if violations:
        keep(history, folder)
        pytest.fail(
            f"{report(history, violations)}\nhistory     {folder}"
            f" (check again with python -m tests.chaos --check {folder})",
            pytrace=False,
        )
