import json
from collections.abc import Mapping
from typing import Any

from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.feishu.crypto import Cipher
from shared.feishu.signature import identity, sign, sign_legacy
from simulator.answers import CallbackStyle
from simulator.callbacks import Callbacks, Click, Delivery, Person
from simulator.names import Names

KEY, TOKEN = "test-encrypt-key", "test-verification-token"
TENANT = TenantKey("t1")
WALL = 1_750_000_000_999


def callbacks(encrypt_key: str = KEY) -> Callbacks:
    """Return a maker of callbacks."""
    return Callbacks(
        app_id=AppId("cli_1"),
        encrypt_key=encrypt_key,
        verification_token=TOKEN,
        names=Names(1),
    )


def click(style: CallbackStyle = "new", action: bytes = b'{"value":{"action":"follow_up"},"tag":"button"}') -> Click:
    """Return a click by somebody whose user id the app may not see."""
    return Click(
        event_id=EventId("e1"),
        message_id=MessageId("om_1"),
        chat_id=ChatId("oc_1"),
        tenant_key=TENANT,
        operator=Person(open_id=OpenId("ou_1")),
        style=style,
        action=action,
        card_token="c-1",
        created_us=1_750_000_000_123_456,
    )


def plaintext(delivery: Delivery) -> bytes:
    """Return the body as the receiver decrypts it."""
    return Cipher(KEY).decrypt(json.loads(delivery.body)["encrypt"])


def signed_with(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what the signature is computed from, besides key and body."""
    return {"timestamp": headers["X-Lark-Request-Timestamp"], "nonce": headers["X-Lark-Request-Nonce"]}


def test_a_new_callback_is_encrypted_signed_and_compact() -> None:
    """With an Encrypt Key the body is ciphertext, signed over its bytes; inside is JSON as production writes it."""
    delivery = callbacks().click(click(), wall=WALL)
    expected = sign(delivery.body, encrypt_key=KEY, **signed_with(delivery.headers))
    assert expected == delivery.headers["X-Lark-Signature"]
    assert "1750000000" == delivery.headers["X-Lark-Request-Timestamp"]
    assert delivery.headers["X-Lark-Request-Nonce"].isdecimal()
    assert (
        '{"schema":"2.0","header":{"event_id":"e1","token":"test-verification-token",'
        '"create_time":"1750000000123456","event_type":"card.action.trigger","tenant_key":"t1","app_id":"cli_1"},'
        '"event":{"operator":{"tenant_key":"t1","user_id":null,"open_id":"ou_1","union_id":null},"token":"c-1",'
        '"action":{"value":{"action":"follow_up"},"tag":"button"},"host":"im_message",'
        '"context":{"open_message_id":"om_1","open_chat_id":"oc_1"}}}'
    ) == plaintext(delivery).decode()


def test_without_an_encrypt_key_the_body_is_plain_and_signed_with_an_empty_key() -> None:
    """Production signs all the same; such a signature proves nothing."""
    delivery = callbacks(encrypt_key="").click(click(), wall=WALL)
    expected = sign(delivery.body, encrypt_key="", **signed_with(delivery.headers))
    assert expected == delivery.headers["X-Lark-Signature"]
    assert TOKEN == json.loads(delivery.body)["header"]["token"]


def test_a_legacy_callback_is_plain_and_signed_with_the_token_even_with_an_encrypt_key() -> None:
    """Its own token is the card's, not the Verification Token; a digest of its signature is its identity."""
    delivery = callbacks().click(click("legacy"), wall=WALL)
    expected = sign_legacy(delivery.body, verification_token=TOKEN, **signed_with(delivery.headers))
    assert (expected, identity(expected)) == (delivery.headers["X-Lark-Signature"], delivery.event_id)
    assert (
        '{"open_id":"ou_1","user_id":null,"open_message_id":"om_1","open_chat_id":"oc_1","tenant_key":"t1",'
        '"token":"c-1","action":{"value":{"action":"follow_up"},"tag":"button"}}'
    ) == delivery.body.decode()


def test_an_action_is_sent_as_it_was_given() -> None:
    """What no parser gives back unchanged arrives unchanged."""
    action = '{"value":{"n":1e400,"d":123456789012345678901234567890,"s":"\\ud800\\u0000备注"},"tag":"button"}'.encode()
    assert action in plaintext(callbacks().click(click(action=action), wall=WALL))


def test_an_event_of_the_second_schema_carries_milliseconds() -> None:
    """Events tell their time in 13 digits where card callbacks use 16."""
    event: dict[str, Any] = {"approval_code": "A1"}
    body = plaintext(
        callbacks().event_p2(
            EventId("e1"), "approval", json.dumps(event).encode(), tenant_key=TENANT, created="1750000000123", wall=WALL
        )
    )
    header = json.loads(body)["header"]
    assert ("approval", "1750000000123") == (header["event_type"], header["create_time"])
    assert event == json.loads(body)["event"]


def test_an_event_of_the_first_version_is_known_by_its_uuid() -> None:
    """Its time is in seconds with a fraction, its type inside the event."""
    body = json.loads(
        plaintext(
            callbacks().event_p1(
                EventId("e1"), "out_approval", {"n": 1}, tenant_key=TENANT, created=1_750_000_000_123, wall=WALL
            )
        )
    )
    assert ("e1", "event_callback", "1750000000.1230000", TOKEN) == (
        body["uuid"],
        body["type"],
        body["ts"],
        body["token"],
    )
    assert {"app_id": "cli_1", "tenant_key": "t1", "type": "out_approval", "n": 1} == body["event"]


def test_a_challenge_has_three_members_in_order() -> None:
    """The console's request to verify an address."""
    body = plaintext(callbacks().challenge("x", wall=WALL))
    assert b'{"challenge":"x","token":"test-verification-token","type":"url_verification"}' == body


def test_a_delivery_shows_no_secrets() -> None:
    """Neither body nor signature stands in a repr."""
    delivery = callbacks().click(click(), wall=WALL)
    assert delivery.headers["X-Lark-Signature"] not in repr(delivery)
    assert "c-1" not in repr(click())
