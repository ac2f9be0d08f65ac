"""
From the setting CARDWIRE_LOG to a log.

======================================  ========================================================================
``kafka://host:port,host:port``         Apache Kafka
``sqlite:///dir/log.db``                files under the current folder; four slashes: under the root
``memory:``                             this process only, for tests
======================================  ========================================================================
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from shared.clock import Clock
from shared.core.errors import ConfigError
from shared.eventlog.port import TOPICS, EventLog, Topics
from shared.settings.sections import KafkaSecurity

_BROKER: Final = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_EXPECTED: Final = (
    "expects kafka://host:port,host:port or sqlite:///path or memory:,"
    " for example CARDWIRE_LOG=sqlite:///cardwire-data/log.db or CARDWIRE_LOG=kafka://kafka:9092"
)


class OpenedLog(EventLog, Protocol):
    """An `EventLog` that also says what of its topics is not as it should be, and lets go what is old in them."""

    async def differences(self, topics: Sequence[str]) -> Sequence[str]:
        """
        Return, in a line each, what of the topics is not as Cardwire needs it; empty when all is well.

        Raises:
            LogUnavailable: The log cannot be asked.
        """

    async def prune(self, topic: str, *, dry: bool = False) -> int:
        """
        Delete the oldest records of a topic if they are past their time, a few at a time, and return how many went.

        Where nobody has to ask for it, as on Kafka, nothing goes. A topic that is not there is not made.

        Args:
            dry: Delete nothing; return how many records are past their time.

        Raises:
            LogUnavailable: The log cannot be written; they may be there still.
        """


def open_log(
    url: str,
    *,
    topics: Topics = TOPICS,
    kafka: KafkaSecurity | None = None,
    clock: Clock | None = None,
    append_timeout_s: float | None = None,
) -> OpenedLog:
    """
    Return the log at ``url``. Nothing is read, written or connected before its first use.

    Args:
        url: See above.
        topics: The deployment's topics.
        kafka: TLS and SASL, if it is Kafka and the brokers want it.
        clock: By which a SQLite log's retention goes.
        append_timeout_s: After which an append gives up; ``None``: in time for a person who waits for an answer.

    Raises:
        ConfigError: ``url`` is none of these, or a file of certificates cannot be used; names the setting, and an
            example.
    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "kafka":
            from shared.eventlog.kafka.log import KafkaLog  # noqa: PLC0415 (aiokafka takes a while to import)
            from shared.eventlog.kafka.options import PLAIN, options_of  # noqa: PLC0415

            options = options_of(kafka or PLAIN, append_timeout_s=append_timeout_s)
            return KafkaLog(_bootstrap(url, rest), topics=topics, options=options)
        case "sqlite":
            from shared.eventlog.sqlite.log import APPEND_TIMEOUT_S, SqliteLog  # noqa: PLC0415

            timeout_s = append_timeout_s or APPEND_TIMEOUT_S
            return SqliteLog(_path(url, rest), topics=topics, clock=clock, append_timeout_s=timeout_s)
        case "memory" if rest in {"", "//"}:
            from shared.eventlog.memory import MemoryLog  # noqa: PLC0415

            return MemoryLog()
        case _:
            raise ConfigError(f"CARDWIRE_LOG={_shown(url)} {_EXPECTED}")


def _bootstrap(url: str, rest: str) -> str:
    brokers = rest.removeprefix("//").removesuffix("/").split(",")
    if not rest.startswith("//") or not all(map(_is_broker, brokers)):
        raise ConfigError(f"CARDWIRE_LOG={_shown(url)} {_EXPECTED}")
    return ",".join(brokers)


def _is_broker(text: str) -> bool:
    found = _BROKER.fullmatch(text)
    return found is not None and 0 < int(found["port"]) < 1 << 16


def _path(url: str, rest: str) -> Path:
    path = rest.removeprefix("///")
    if path == rest or not path or path.endswith("/") or "?" in path or "\0" in path:
        raise ConfigError(f"CARDWIRE_LOG={_shown(url)} {_EXPECTED}")
    return Path(path)


def _shown(url: str) -> str:
    """Return ``url`` as it may be printed: somebody may have put a password into it."""
    return re.sub(r"//[^/]*@", "//***@", url)
