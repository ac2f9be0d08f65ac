"""Both storage stacks, one after the other: files, and a real Kafka with a real PostgreSQL."""

from pathlib import Path

import pytest

from tests.support.world import Stack, files, services


@pytest.fixture(params=["files", pytest.param("services", marks=[pytest.mark.kafka, pytest.mark.postgres])])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    """A stack to run a world on."""
    if request.param == "files":
        return files(tmp_path)
    return services(request.getfixturevalue("kafka"), request.getfixturevalue("postgres_url"))
