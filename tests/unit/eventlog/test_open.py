"""From CARDWIRE_LOG to a log."""

import pytest

from shared.core.errors import ConfigError
from shared.eventlog.open import open_log
from shared.eventlog.port import Features


@pytest.mark.parametrize(
    ("url", "features"),
    [
        ("memory:", Features(shares=True, outlives_processes=False, makes_topics=True)),
        ("memory://", Features(shares=True, outlives_processes=False, makes_topics=True)),
        ("sqlite:///log.db", Features(shares=False, outlives_processes=True, makes_topics=True)),
        ("sqlite:////var/lib/cardwire/log.db", Features(shares=False, outlives_processes=True, makes_topics=True)),
    ],
)
def test_the_scheme_chooses_the_back_end(url: str, features: Features) -> None:
    """Each back end tells what it can do."""
    assert features == open_log(url).features


@pytest.mark.parametrize("brokers", ["kafka:9092", "a.example:9092,b.example:9093/", "[::1]:9092", "127.0.0.1:1"])
async def test_kafka_is_opened_without_being_asked(brokers: str) -> None:
    """Opening connects to nobody: a program starts without its broker."""
    log = open_log(f"kafka://{brokers}")
    assert log.features.shares
    await log.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "log.db",
        "redis://x",
        "kafka:",
        "kafka://",
        "kafka:host:9092",
        "kafka://host",
        "kafka://host:0",
        "kafka://host:65536",
        "kafka://host:9092,,other:9092",
        "kafka://host:9092 other:9092",
        "sqlite:",
        "sqlite://log.db",
        "sqlite:///",
        "sqlite:///dir/",
        "sqlite:///log.db?mode=ro",
        "memory:x",
    ],
)
def test_a_malformed_url_is_refused_with_an_example(url: str) -> None:
    """The error names the setting, what it expects, and an example of each kind."""
    with pytest.raises(ConfigError, match=r"^CARDWIRE_LOG=.* expects .*sqlite:///.*CARDWIRE_LOG=kafka://kafka:9092$"):
        open_log(url)


def test_a_password_in_the_url_is_not_printed() -> None:
    """Whoever puts credentials there learns where they belong without having them printed."""
    with pytest.raises(ConfigError) as caught:
        open_log("kafka://user:hunter2@host:9092")
    assert "hunter2" not in str(caught.value)
