"""
Why brokers do not let us in, in words that lead to the setting.

A client of aiokafka that cannot connect does not say why; so one connection more is made, of which the reason can be
seen. What the brokers' rules forbid comes back as an error of its own.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from shared.core.errors import LogRefused, LogUnavailable
from shared.eventlog.kafka.failures import FAILURES, pass_cancellation
from shared.eventlog.kafka.options import connection, tls_trouble
from shared.settings.sections import KafkaSecurity

LOOK_S: Final = 1.0
"""How long the connection more may take: whoever waits for an error has waited already."""

FORBIDDEN: Final = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)
"""What aiokafka raises when the brokers' rules forbid something."""

_OTHER_NAME: Final = frozenset({62, 64})
"""OpenSSL's codes for a certificate of another host, or of another address."""

_CLOSED: Final = (
    "; it closes new connections: are CARDWIRE_KAFKA_TLS and CARDWIRE_KAFKA_SASL as this listener wants them, for "
    "example CARDWIRE_KAFKA_TLS=true and CARDWIRE_KAFKA_SASL=SCRAM-SHA-512?"
)


async def unavailable(
    error: BaseException, bootstrap: str, security: KafkaSecurity, *, cannot_be: str, right: str
) -> LogUnavailable:
    """
    Return the error to raise instead of one of aiokafka's.

    Args:
        error: What was raised.
        bootstrap: ``host:port,…``
        security: As whom we came.
        cannot_be: What the brokers cannot be: reached, read.
        right: What had to be allowed, as ``kafka-acls.sh`` calls it: ``--operation Read --topic lark…``.
    """
    where = f"Kafka at {bootstrap}"
    hint = ""
    if isinstance(error, KafkaConnectionError):
        seen = await _look(bootstrap, security)
        hint = _CLOSED if isinstance(seen, KafkaConnectionError | ConnectionResetError) else ""
        error = seen or error
    return refused(error, where, security, right) or LogUnavailable(f"{where} cannot be {cannot_be}: {error!r}{hint}")


def refused(error: BaseException, where: str, security: KafkaSecurity, right: str) -> LogRefused | None:
    """Return what an error means, if it means that somebody does not let us in."""
    match error:
        case ssl.SSLError():
            return LogRefused(_of_tls(error, where))
        case SaslAuthenticationFailed():
            return LogRefused(
                f"CARDWIRE_KAFKA_PASSWORD: {where} does not know {security.username} by this password: expected both "
                "as the brokers have them, for example CARDWIRE_KAFKA_PASSWORD_FILE=/run/secrets/kafka_password"
            )
        case UnsupportedSaslMechanismError() | IllegalSaslStateError():
            return LogRefused(
                f"CARDWIRE_KAFKA_SASL: {where} does not take {security.mechanism}: expected a mechanism that it takes, "
                "for example CARDWIRE_KAFKA_SASL=SCRAM-SHA-512"
            )
        case _ if isinstance(error, FORBIDDEN):
            return not_allowed(where, security, right)
        case _:
            return None


def _of_tls(error: ssl.SSLError, where: str) -> str:
    match error:
        case ssl.SSLCertVerificationError() if error.verify_code in _OTHER_NAME:
            return (
                f"CARDWIRE_LOG: {where} has a certificate for another name ({error.verify_message}): expected the "
                "brokers' names as in their certificates, for example CARDWIRE_LOG=kafka://kafka-1:9093,kafka-2:9093"
            )
        case ssl.SSLCertVerificationError():
            return (
                f"CARDWIRE_KAFKA_CA: {where} has a certificate that is not trusted ({error.verify_message}): expected "
                "the authority that signed it, for example CARDWIRE_KAFKA_CA=/etc/cardwire/ca.pem"
            )
        case _:
            return (
                f"CARDWIRE_KAFKA_TLS: {where} does not speak TLS with us ({tls_trouble(error)}): expected brokers that "
                "do, for example CARDWIRE_LOG=kafka://kafka-1:9093, or CARDWIRE_KAFKA_TLS=false"
            )


def not_allowed(where: str, security: KafkaSecurity, right: str) -> LogRefused:
    """Return the error for what the brokers' rules do not allow us; ``right`` as in `unavailable`."""
    user = security.username or "ANONYMOUS"
    return LogRefused(
        f"CARDWIRE_KAFKA_USERNAME: {where} does not allow {user} what we must do: expected a user with this right, or "
        f"a rule that gives it, for example kafka-acls.sh --add --allow-principal User:{user} {right}"
    )


async def refuse_hidden(client: AIOKafkaClient, topic: str) -> None:
    """Raise `TopicAuthorizationFailedError` if a topic is not listed because we may not see it, there or not."""
    node = client.get_random_node()
    if node is not None:
        answer = await client.send(node, MetadataRequest([topic], allow_auto_topic_creation=False))
        if any(code == TopicAuthorizationFailedError.errno for code, *_ in answer.topics):
            raise TopicAuthorizationFailedError(topic)


async def _look(bootstrap: str, security: KafkaSecurity) -> BaseException | None:
    """Return what one of the brokers has against us, ``None`` if there is nothing to be seen."""
    wanted = dict(connection(bootstrap, security))
    hosts = collect_hosts(wanted.pop("bootstrap_servers"))
    for of_clients in ("metadata_max_age_ms", "retry_backoff_ms", "connections_max_idle_ms"):
        del wanted[of_clients]
    seen = await asyncio.gather(*(_ask(host, port, wanted) for host, port, _ in hosts))
    return next((error for error in seen if error is not None), None)


async def _ask(host: str, port: int, wanted: Mapping[str, Any]) -> BaseException | None:
    """Connect, ask for nothing much, and return what came in between; silence is nothing to be told."""
    try:
        async with asyncio.timeout(LOOK_S):
            connected = await create_conn(host, port, request_timeout_ms=round(LOOK_S * 1000), **wanted)
            try:
                await connected.send(MetadataRequest([]))
            finally:
                connected.close()
    except FAILURES as error:
        pass_cancellation(error)
        return None if isinstance(error, TimeoutError) else error
    return None
