"""How Kafka is reached, and every time-out there is; each was measured against aiokafka 0.14 and Kafka 4.3."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from shared.core.errors import ConfigError
from shared.eventlog.port import MAX_RECORD_BYTES
from shared.settings.sections import KafkaSecurity

METADATA_MAX_AGE_MS: Final = 60_000
RETRY_BACKOFF_MS: Final = 50


PLAIN: Final = KafkaSecurity(
    tls=False, ca=None, certificate=None, key=None, mechanism=None, username=None, password=None, session_s=10
)
"""Neither encrypted nor authenticated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """
    What a deployment may want otherwise.

    Attributes:
        security: TLS and SASL.
        append_timeout_s: `EventLog.append` answers within this time.
        request_timeout_ms: For the producer: time to connect, time to answer, life of a batch, and the brokers'
            wait for replicas in one. Less than ``append_timeout_s``, so that its error is told.
        read_timeout_s: `EventLog.read`, `spans`, `create` and `consume` answer within this time.
        session_timeout_ms: After which a silent worker's partitions go to others. Short, because while a dead member
            is waited for nobody decides; a living one that is taken for dead is fenced by its positions.
        rebalance_timeout_ms: How long a rebalance waits for a silent member; aiokafka's default is the session's.
        heartbeat_ms: How soon members hear of a rebalance.
        max_record_bytes: Larger ones are refused.
        replication_factor: Copies of each partition of a new topic; ``None``: three, or one per broker if fewer.
        min_insync_replicas: Copies that must have a record before it counts as appended; ``None``: two if there
            are three copies or more, else one.
    """

    security: KafkaSecurity = PLAIN
    append_timeout_s: float = 1.2
    request_timeout_ms: int = 1_000
    read_timeout_s: float = 10.0
    session_timeout_ms: int = 10_000
    rebalance_timeout_ms: int = 60_000
    heartbeat_ms: int = 2_000
    max_record_bytes: int = MAX_RECORD_BYTES
    replication_factor: int | None = None
    min_insync_replicas: int | None = None

    @property
    def read_request_timeout_ms(self) -> int:
        """The time-out of one request of those; less than all together, so that its error is told."""
        return round(self.read_timeout_s * 900)


def options_of(security: KafkaSecurity, *, append_timeout_s: float | None = None) -> KafkaOptions:
    """
    Return the options that a deployment's settings amount to; five heartbeats fit into a session.

    Args:
        append_timeout_s: For who can wait longer than a person.

    Raises:
        ConfigError: A file of certificates cannot be used; names the setting.
    """
    if security.tls:
        _tls(security)
    session_ms = security.session_s * 1000
    options = KafkaOptions(security=security, session_timeout_ms=session_ms, heartbeat_ms=session_ms // 5)
    if append_timeout_s is None:
        return options
    # Five sixths, as of the usual time-outs: a request's own error is told before the append's.
    return replace(
        options, append_timeout_s=append_timeout_s, request_timeout_ms=round(append_timeout_s * 1000 * 5 / 6)
    )


def connection(bootstrap: str, security: KafkaSecurity) -> Mapping[str, Any]:
    """Return the arguments by which every aiokafka client finds the brokers; ``bootstrap`` is ``host:port,…``."""
    names = {
        (False, False): "PLAINTEXT",
        (True, False): "SSL",
        (False, True): "SASL_PLAINTEXT",
        (True, True): "SASL_SSL",
    }
    found: dict[str, Any] = {
        "bootstrap_servers": bootstrap,
        "security_protocol": names[security.tls, security.mechanism is not None],
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        # By default an idle client drops its connections after 9 minutes, and the next append pays for new ones.
        "connections_max_idle_ms": None,
    }
    if security.tls:
        found["ssl_context"] = _tls(security)
    if security.mechanism is not None and security.password is not None:
        found["sasl_mechanism"] = security.mechanism
        found["sasl_plain_username"] = security.username
        found["sasl_plain_password"] = security.password.reveal()
    return found


@lru_cache
def _tls(security: KafkaSecurity) -> ssl.SSLContext:
    """Read the files of certificates, once in a process: a file that is replaced counts from the next start on."""
    try:
        context = ssl.create_default_context(cafile=security.ca)
    except OSError as error:
        raise _unusable("CARDWIRE_KAFKA_CA", security.ca, "the authorities' certificates", "ca.pem", error) from error
    if security.certificate is not None:
        try:
            context.load_cert_chain(security.certificate, security.key)
        except OSError as error:
            what = "our certificate, whose key CARDWIRE_KAFKA_KEY names"
            raise _unusable("CARDWIRE_KAFKA_CERT", security.certificate, what, "client.pem", error) from error
    return context


def tls_trouble(error: OSError) -> str:
    """Return what TLS has against a file or a broker, in OpenSSL's word where it has one."""
    return str(getattr(error, "reason", None) or error.strerror)


def _unusable(name: str, path: str | None, what: str, example: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"{name} names {path}, which cannot be used ({tls_trouble(error)}): expected a PEM file with {what}, "
        f"for example {name}=/etc/cardwire/{example}"
    )
