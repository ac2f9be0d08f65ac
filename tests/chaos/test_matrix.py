from pathlib import Path

import pytest

from tests.chaos.matrix.history import keep
from tests.chaos.matrix.place import Place
from tests.chaos.matrix.rows import FULL, SMALL, Row
from tests.chaos.matrix.rules import check
from tests.chaos.matrix.run import run_row
from tests.chaos.tables import said
from tests.support.kafka import KafkaBroker


@pytest.mark.chaos
@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.name)
async def test_nobody_who_clicks_notices_a_fault(kafka_broker: KafkaBroker, tmp_path: Path, row: Row) -> None:
    """All are answered in time, what was accepted is in the log, and all is as before when the fault is over."""
    history = await run_row(row, Place(brokers=[kafka_broker]), prefix=f"matrix-{tmp_path.name}.", folder=tmp_path)
    violations = check(history)
    if violations:
        keep(history, tmp_path)
        pytest.fail(
            "\n".join(
                [*said(history, violations), f"history     {tmp_path} (python -m tests.chaos --matrix --check …)"]
            ),
            pytrace=False,
        )


def test_every_row_that_the_tests_run_is_a_short_one_of_the_whole_table() -> None:
    """What is tried at every run is what the table tells of, on a smaller scale."""
    whole = {row.name: row for row in FULL}
    assert [] == [row.name for row in SMALL if row.seconds >= whole[row.name].seconds]
