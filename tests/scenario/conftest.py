"""Both storage stacks, one after the other: files, and a real Kafka with a real PostgreSQL."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.world import Stack, files, services


@pytest.fixture(params=["files", pytest.param("services", marks=[pytest.mark.kafka, pytest.mark.postgres])])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    """A stack to run a world on."""
    if request.param == "files":
        return files(tmp_path)
    return services(request.getfixturevalue("kafka"), request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    """A stack for stories that are the ledger's and no broker's: files, with either database."""
    if request.param == "sqlite":
        return files(tmp_path)
    return replace(files(tmp_path), ledger=request.getfixturevalue("postgres_url"))
