import json
from typing import Any

import pytest

from shared.core.codec import decode, encode, header
from shared.core.errors import NewerThanUs, Undecodable
from shared.core.events import Event, InteractionAnswered
from tests.unit.core.golden import APP, EVENT, GOLDEN, MESSAGE, TENANT

MARK = InteractionAnswered(event_id=EVENT, app_id=APP, tenant_key=TENANT, message_id=MESSAGE, answered_at=1749108924510)


def _with_type(ce_type: str) -> list[tuple[str, bytes]]:
    return [(name, ce_type.encode() if name == "ce_type" else text) for name, text in encode(MARK).headers]


@pytest.mark.parametrize("event", [event for event, _ in GOLDEN.values()], ids=list(GOLDEN))
def test_what_was_encoded_decodes_to_the_same_event(event: Event) -> None:
    """A record loses nothing."""
    record = encode(event)
    assert event == decode(record.headers, record.value)


def test_a_mark_has_an_id_of_its_own_and_its_cards_key() -> None:
    """Marks are ordered with their card and told apart from their interaction."""
    record = encode(MARK)
    assert f"{APP}:{MESSAGE}" == record.key
    assert f"{EVENT}/answered" == header(record.headers, "ce_id")


def test_an_unknown_field_is_ignored() -> None:
    """Newer gateways may add fields that this worker does not know."""
    record = encode(MARK)
    value = {**json.loads(record.value), "added_later": {"x": 1}}
    assert MARK == decode(record.headers, json.dumps(value).encode())


@pytest.mark.parametrize("ce_type", ["lark.card.card.forgotten.v1", "lark.card.decided.v2"])
def test_a_record_type_or_version_from_the_future_is_not_undecodable(ce_type: str) -> None:
    """The worker stops at it until it is upgraded."""
    with pytest.raises(NewerThanUs, match="upgrade workers before gateways"):
        decode(_with_type(ce_type), encode(MARK).value)


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([], b"{}"),
        (encode(MARK).headers, None),
        (_with_type("com.example.other"), encode(MARK).value),
        (encode(MARK).headers, b"not json"),
        (encode(MARK).headers, b"\xff"),
        (encode(MARK).headers, b'{"event_id": 1}'),
        (encode(MARK).headers, b"{}"),
    ],
    ids=["no type", "no value", "not ours", "not JSON", "not UTF-8", "wrong type", "fields missing"],
)
def test_what_is_not_our_record_is_undecodable(headers: list[tuple[str, bytes]], value: bytes | None) -> None:
    """Foreign or broken records are parked, not retried."""
    with pytest.raises(Undecodable) as refused:
        decode(headers, value)
    assert Undecodable is refused.type


def test_an_undecodable_records_error_does_not_quote_its_value() -> None:
    """What people typed does not leak into error texts."""
    with pytest.raises(Undecodable) as refused:
        decode(encode(MARK).headers, b'{"event_id": ["whisper"]}')
    assert "whisper" not in str(refused.value)


def test_an_absurd_time_does_not_stop_a_record_from_being_written() -> None:
    """The platform's signature covers any time at all."""
    mark = InteractionAnswered(event_id=EVENT, app_id=APP, tenant_key=TENANT, answered_at=10**30)
    assert "1970-01-01T00:00:00.000Z" == header(encode(mark).headers, "ce_time")


def test_an_old_version_is_lifted_to_the_one_that_is_read() -> None:
    """The log is never rewritten: old records are upcast as they are read, one version at a time."""

    def rename(value: bytes) -> bytes:
        old: dict[str, Any] = json.loads(value)
        return json.dumps({**old, "answered_at": old["at"]}).encode()

    mark = "lark.card.interaction.answered"
    upcasters = {f"{mark}.v-1": (f"{mark}.v0", bytes.lower), f"{mark}.v0": (f"{mark}.v1", rename)}
    old = {"EVENT_ID": EVENT, "APP_ID": APP, "TENANT_KEY": TENANT, "MESSAGE_ID": MESSAGE, "AT": MARK.answered_at}
    assert MARK == decode(_with_type(f"{mark}.v-1"), json.dumps(old).encode(), upcasters=upcasters)
