"""
Fixtures of real services. One Kafka and one PostgreSQL serve a whole run; tests keep apart by names.

=====================  ========  ==============================================================================
``kafka``              session   ``host:port`` of a broker: ours, or the one in ``CARDWIRE_TEST_KAFKA``
``kafka_broker``       test      our own broker, to be broken; whatever was done to it is undone afterwards
``kafka_cluster``      test      three brokers of our own, to be broken; whatever was done to them is undone afterwards
``postgres``           session   `Databases` of a server: ours, or the one in ``CARDWIRE_TEST_POSTGRES``
``postgres_url``       test      the URL of a new empty database, dropped afterwards
``postgres_server``    test      our own server, to be broken; whatever was done to it is undone afterwards
=====================  ========  ==============================================================================
"""

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from tests.support import ServiceMissing
from tests.support.kafka import KafkaBroker, KafkaCluster
from tests.support.postgres import Databases, PostgresServer

_Service = TypeVar("_Service", KafkaBroker, KafkaCluster, PostgresServer)


@pytest.fixture(scope="session")
def _own_kafka() -> Iterator[Callable[[], KafkaBroker]]:
    started: list[KafkaBroker] = []

    def start() -> KafkaBroker:
        if not started:
            started.append(KafkaBroker())
        started[0].start()
        return started[0]

    yield start
    for broker in started:
        broker.close()


@pytest.fixture(scope="session")
def _own_postgres() -> Iterator[Callable[[], PostgresServer]]:
    started: list[PostgresServer] = []

    def start() -> PostgresServer:
        if not started:
            started.append(PostgresServer())
        started[0].start()
        return started[0]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def kafka(_own_kafka: Callable[[], KafkaBroker]) -> str:
    """``host:port`` of an Apache Kafka broker that every test of the run shares: use topics of your own names."""
    external = os.environ.get("CARDWIRE_TEST_KAFKA")
    return external or _or_skip(_own_kafka).bootstrap


@pytest.fixture
def kafka_broker(_own_kafka: Callable[[], KafkaBroker]) -> Iterator[KafkaBroker]:
    """A broker of our own, to be stopped, killed and frozen; it runs again after the test."""
    broker = _or_skip(_own_kafka)
    yield broker
    broker.recover()


@pytest.fixture(scope="module")
def _own_cluster() -> Iterator[Callable[[], KafkaCluster]]:
    started: list[KafkaCluster] = []

    def start() -> KafkaCluster:
        if not started:
            started.append(KafkaCluster())
        started[0].start()
        return started[0]

    yield start
    for cluster in started:
        cluster.close()


@pytest.fixture
def kafka_cluster(_own_cluster: Callable[[], KafkaCluster]) -> Iterator[KafkaCluster]:
    """Three brokers of our own, each to be stopped, killed and frozen; all run again after the test."""
    cluster = _or_skip(_own_cluster)
    yield cluster
    cluster.recover()


@pytest.fixture(scope="session")
def postgres(_own_postgres: Callable[[], PostgresServer]) -> Databases:
    """Databases on a PostgreSQL server that every test of the run shares."""
    external = os.environ.get("CARDWIRE_TEST_POSTGRES")
    return Databases(external) if external else _or_skip(_own_postgres).databases


@pytest.fixture
def postgres_url(postgres: Databases) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture
def postgres_server(_own_postgres: Callable[[], PostgresServer]) -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own, to be stopped, killed and frozen; it runs again after the test."""
    server = _or_skip(_own_postgres)
    yield server
    server.recover()


def _or_skip(start: Callable[[], _Service]) -> _Service:
    try:
        return start()
    except ServiceMissing as missing:
        pytest.skip(str(missing))
