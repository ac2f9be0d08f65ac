from pathlib import Path

import pytest

from tests.chaos.stack import on_services
from tests.soak.run import Size, soak
from tests.support.kafka import KafkaBroker


@pytest.mark.chaos
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_counter_is_exact_however_often_the_worker_is_killed(
    kafka_broker: KafkaBroker, postgres_url: str, tmp_path: Path
) -> None:
    """20,000 clicks on 200 cards, some repeated, four SIGKILLs: each is counted once, and log and ledger agree."""
    soaked = await soak(
        Size(clicks=20_000, cards=200, kill_every_s=2.0, kills=4),
        on_services(kafka_broker, postgres_url),
        seed=7,
        folder=tmp_path,
        patience_s=200,
        prefix=f"soak-{tmp_path.name}.",
    )
    assert [] == soaked.wrong
    assert soaked.kills > 0
