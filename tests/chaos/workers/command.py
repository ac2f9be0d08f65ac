"""The worker's matrix, as ``python -m tests.chaos --matrix workers`` runs it."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Final

from tests.chaos.history import History, keep, kept
from tests.chaos.matrices import Matrix, Tell
from tests.chaos.stack import on_services, running
from tests.chaos.workers.rows import FULL, SMALL, Row
from tests.chaos.workers.rules import check
from tests.chaos.workers.run import run_row
from tests.chaos.workers.table import COLUMNS, cells


async def _run(rows: Sequence[Row], folder: Path, seed: int, tell: Tell) -> AsyncGenerator[tuple[Row, History], None]:
    tell("starting Kafka and PostgreSQL")
    with running(fsync=False) as (broker, server):  # a disk that others write to as well would be measured
        for row in rows:
            tell(f"{row.name}: {row.what}")
            stack = on_services(broker, server.databases.create(), server)
            inside, prefix = folder / row.name, f"{row.name}."
            yield row, await run_row(row, stack, seed=seed, folder=inside, prefix=prefix, tell=tell)


WORKERS: Final = Matrix(
    name="workers",
    full=FULL,
    small=SMALL,
    run=_run,
    check=check,
    keep=keep,
    kept=kept,
    columns=COLUMNS,
    cells=cells,
)
