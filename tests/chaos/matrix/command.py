"""The gateway's matrix, as ``python -m tests.chaos --matrix`` runs it."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from tests.chaos.matrices import Matrix, Tell
from tests.chaos.matrix.history import RowHistory, keep, kept
from tests.chaos.matrix.place import Place
from tests.chaos.matrix.rows import FULL, SMALL, Row
from tests.chaos.matrix.rules import check
from tests.chaos.matrix.run import run_row
from tests.chaos.matrix.table import COLUMNS, cells
from tests.support.kafka import KafkaBroker, KafkaCluster


async def _run(
    rows: Sequence[Row], folder: Path, _seed: int, tell: Tell
) -> AsyncGenerator[tuple[Row, RowHistory], None]:
    for brokers in (1, 3):
        of_these = [row for row in rows if row.brokers == brokers]
        if not of_these:
            continue
        tell(f"starting {brokers} {'broker' if brokers == 1 else 'brokers'}")
        with _brokers(brokers) as place:
            await asyncio.to_thread(place.start)
            for row in of_these:
                tell(f"{row.name}: {row.what}")
                yield row, await run_row(row, place, prefix=f"{row.name}.", folder=folder / row.name, tell=tell)


@contextmanager
def _brokers(count: int) -> Iterator[Place]:
    with closing(KafkaBroker() if count == 1 else KafkaCluster()) as ours:
        yield Place(brokers=[ours] if isinstance(ours, KafkaBroker) else ours.brokers)


GATEWAYS: Final = Matrix(
    name="gateways",
    full=FULL,
    small=SMALL,
    run=_run,
    check=check,
    keep=keep,
    kept=kept,
    columns=COLUMNS,
    cells=cells,
)
