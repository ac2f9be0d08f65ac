"""What a client of Kafka raises is told as what somebody can mend, in lines that the documents have."""

import ssl

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from shared.core.errors import ConfigError, LogRefused, LogUnavailable
from shared.core.secret import Secret
from shared.eventlog.kafka.options import PLAIN, options_of
from shared.eventlog.kafka.refusals import refused, unavailable
from shared.settings.sections import KafkaSecurity
from tests.support.documents import is_documented

SECURITY = KafkaSecurity(tls=True, mechanism="SCRAM-SHA-512", username="ada", password=Secret("not-to-be-seen"))
WHERE = "Kafka at kafka-1:9093"
RIGHT = "--operation Read --topic lark"


def _certificate(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("error", "setting"),
    [
        (_certificate(20, "unable to get local issuer certificate"), "CARDWIRE_KAFKA_CA"),
        (_certificate(10, "certificate has expired"), "CARDWIRE_KAFKA_CA"),
        (_certificate(62, "Hostname mismatch"), "CARDWIRE_LOG"),
        (_certificate(64, "IP address mismatch"), "CARDWIRE_LOG"),
        (ssl.SSLError(1, "wrong version number"), "CARDWIRE_KAFKA_TLS"),
        (SaslAuthenticationFailed("not-to-be-seen"), "CARDWIRE_KAFKA_PASSWORD"),
        (UnsupportedSaslMechanismError(), "CARDWIRE_KAFKA_SASL"),
        (IllegalSaslStateError(), "CARDWIRE_KAFKA_SASL"),
        (TopicAuthorizationFailedError("lark"), "CARDWIRE_KAFKA_USERNAME"),
        (GroupAuthorizationFailedError("lark"), "CARDWIRE_KAFKA_USERNAME"),
        (ClusterAuthorizationFailedError(), "CARDWIRE_KAFKA_USERNAME"),
    ],
)
def test_who_is_not_let_in_reads_which_setting_to_look_at(error: BaseException, setting: str) -> None:
    """The line names the setting and an example, stands in the documents, and shows no password."""
    found = refused(error, WHERE, SECURITY, RIGHT)
    assert isinstance(found, LogRefused)
    assert str(found).startswith(f"{setting}: {WHERE} ")
    assert is_documented(str(found))
    assert "not-to-be-seen" not in str(found)


@pytest.mark.parametrize(
    "error", [KafkaConnectionError(), NodeNotReadyError(), ConnectionRefusedError(), TimeoutError()]
)
def test_an_outage_is_no_refusal(error: BaseException) -> None:
    """Nobody is sent to settings that are right."""
    assert refused(error, WHERE, SECURITY, RIGHT) is None


async def test_brokers_that_are_away_are_said_to_be_away() -> None:
    """A connection more is made, and tells that nobody listens."""
    found = await unavailable(
        KafkaConnectionError("Unable to bootstrap"), "127.0.0.1:1", PLAIN, cannot_be="reached", right=RIGHT
    )
    assert LogUnavailable is type(found)
    assert str(found).startswith("Kafka at 127.0.0.1:1 cannot be reached: ConnectionRefusedError(")


def test_a_file_of_certificates_is_looked_at_before_anything_is_connected() -> None:
    """A wrong path is a wrong setting, not an outage."""
    with pytest.raises(ConfigError, match=r"^CARDWIRE_KAFKA_CA names /nowhere/ca\.pem, which cannot be used"):
        options_of(KafkaSecurity(tls=True, ca="/nowhere/ca.pem"))
