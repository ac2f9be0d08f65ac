"""Storages for the contract of the log: every back end, each with the abilities that it declares itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.eventlog.kafka.log import KafkaLog
from shared.eventlog.memory import MemoryLog
from shared.eventlog.open import OpenedLog
from shared.eventlog.sqlite.log import SqliteLog
from tests.support.event_logs import Backend, KafkaBackend, MemoryBackend, SqliteBackend

_FEATURES = {"memory": MemoryLog.features, "sqlite": SqliteLog.features, "kafka": KafkaLog.features}


def backends(**wanted: bool) -> list[object]:
    """Return the back ends with these features as parameters of a test."""
    return [
        pytest.param(name, marks=pytest.mark.kafka if name == "kafka" else ())
        for name, features in _FEATURES.items()
        if all(getattr(features, feature) == value for feature, value in wanted.items())
    ]


def pytest_configure(config: pytest.Config) -> None:
    """Make our markers known."""
    config.addinivalue_line("markers", "features(**wanted): only for back ends of the log with these features")
    config.addinivalue_line("markers", "outage: breaks the server, which must be ours")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of the log against every back end, or those that have what its ``features`` marker names."""
    if "backend" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("features")
        metafunc.parametrize("backend", backends(**(marker.kwargs if marker else {})), indirect=True)


@pytest.fixture
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """A storage of this test's own. Where the test breaks it (marker ``outage``), so is the server."""
    found: Backend
    match request.param:
        case "memory":
            found = MemoryBackend()
        case "sqlite":
            found = SqliteBackend(tmp_path)
        case _ if request.node.get_closest_marker("outage"):
            broker = request.getfixturevalue("kafka_broker")
            found = KafkaBackend(broker.bootstrap, broker)
        case _:
            found = KafkaBackend(request.getfixturevalue("kafka"))
    yield found
    await found.close()


@pytest.fixture
async def log(backend: Backend) -> OpenedLog:
    """A log with the topic of interactions made."""
    opened = backend.open()
    await opened.create([backend.topics.interactions])
    return opened
