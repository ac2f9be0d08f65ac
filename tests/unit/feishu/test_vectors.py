"""Our wire rules against what the platform's official SDK was seen to do (tests/vectors)."""

import json
from typing import Any, Final

import pytest

from shared.core.ids import AppId, ChatId, MessageId
from shared.core.json_text import JsonText
from shared.feishu import answer
from shared.feishu.callback import (
    Callback,
    CardAction,
    Challenge,
    Encrypted,
    LegacyCardAction,
    LinkPreview,
    SubscribedEvent,
    UnreadableCallback,
    parse,
)
from shared.feishu.crypto import Cipher, Undecryptable
from shared.feishu.openapi import ApiRequest, rename_chat, send_text, tenant_token, update_card
from shared.feishu.signature import is_signed, sign, sign_legacy
from tests.vectors import FEISHU, http_callback

KINDS: Final[dict[str, type[Callback]]] = {
    "event_url_verification_plain": Challenge,
    "event_url_verification_encrypted_no_signature_headers": Challenge,
    "event_url_verification_wrong_token": Challenge,
    "card_action_trigger_encrypted_signed": CardAction,
    "card_action_trigger_encrypted_bad_signature": CardAction,
    "card_action_trigger_encrypted_uppercase_signature": CardAction,
    "card_action_trigger_encrypted_missing_headers": CardAction,
    "card_action_trigger_plain_signed_with_empty_key": CardAction,
    "card_action_trigger_plain_garbage_signature_no_encrypt_key": CardAction,
    "card_action_trigger_plain_both_credentials_empty": CardAction,
    "card_action_trigger_plain_body_but_encrypt_key_configured_signed": CardAction,
    "card_action_trigger_handler_returns_none": CardAction,
    "event_without_registered_handler": SubscribedEvent,
    "card_action_trigger_string_value": CardAction,
    "url_preview_get_encrypted_signed": LinkPreview,
    "p1_out_approval_plain": SubscribedEvent,
    "legacy_card_url_verification_plain": Challenge,
    "legacy_card_url_verification_encrypted": Challenge,
    "legacy_card_signed_handler_returns_none": LegacyCardAction,
    "legacy_card_signed_rfc850_timestamp": LegacyCardAction,
    "legacy_card_signed_returns_card": LegacyCardAction,
    "legacy_card_bad_signature": LegacyCardAction,
    "legacy_card_no_token_configured_skips_signature": LegacyCardAction,
    "legacy_card_encrypted_body_signed_over_ciphertext": LegacyCardAction,
    "legacy_card_string_value": LegacyCardAction,
}

UNREADABLE: Final = "flat_object_without_header"

GOOD: Final = frozenset({
    "card_action_trigger_encrypted_signed",
    "card_action_trigger_plain_signed_with_empty_key",
    "card_action_trigger_plain_both_credentials_empty",
    "card_action_trigger_plain_body_but_encrypt_key_configured_signed",
    "card_action_trigger_handler_returns_none",
    "card_action_trigger_string_value",
    "event_without_registered_handler",
    "url_preview_get_encrypted_signed",
    "legacy_card_signed_handler_returns_none",
    "legacy_card_signed_rfc850_timestamp",
    "legacy_card_signed_returns_card",
    "legacy_card_encrypted_body_signed_over_ciphertext",
    "legacy_card_string_value",
})  # fmt: skip
SIGNED: Final = sorted(
    case["name"] for case in FEISHU["http_callbacks"] if "X-Lark-Request-Timestamp" in case["headers"]
)


def _signed_by_us(case: dict[str, Any]) -> bool:
    headers, body = case["headers"], case["body"].encode()
    timestamp, nonce = headers["X-Lark-Request-Timestamp"], headers["X-Lark-Request-Nonce"]
    expected = (
        sign_legacy(body, timestamp=timestamp, nonce=nonce, verification_token=case["verification_token"])
        if case["sdk_handler"] == "CardActionHandler"
        else sign(body, timestamp=timestamp, nonce=nonce, encrypt_key=case["encrypt_key"])
    )
    return is_signed(headers["X-Lark-Signature"], expected)


def _read(case: dict[str, Any]) -> Callback:
    callback = parse(case["body"].encode())
    if isinstance(callback, Encrypted):
        return parse(Cipher(case["encrypt_key"]).decrypt(callback.encrypt))
    return callback


@pytest.mark.parametrize("case", FEISHU["aes_256_cbc"]["accepted"], ids=lambda case: case["name"])
def test_what_the_sdk_decrypts_we_decrypt_and_encrypt_alike(case: dict[str, Any]) -> None:
    """Ciphertexts match in both directions."""
    cipher = Cipher(case["encrypt_key"])
    assert case["plaintext"].encode() == cipher.decrypt(case["encrypt"])
    assert case["encrypt"] == cipher.encrypt(case["plaintext"].encode(), iv=bytes.fromhex(case["iv_hex"]))


@pytest.mark.parametrize("case", FEISHU["aes_256_cbc"]["rejected"], ids=lambda case: case["name"])
def test_what_the_sdk_refuses_to_decrypt_we_refuse(case: dict[str, Any]) -> None:
    """A flipped byte, a missing block and a foreign key are noticed."""
    with pytest.raises(Undecryptable):
        Cipher(case["encrypt_key"]).decrypt(case["encrypt"])


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_is_good_or_bad_as_recorded(name: str) -> None:
    """Both signatures agree with the SDK's, which skips the check only where no key is configured."""
    assert (name in GOOD) == _signed_by_us(http_callback(name))


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_recorded_body_is_read_as_what_it_is(name: str) -> None:
    """Each kind of callback is told from its body alone, encrypted or not."""
    assert KINDS[name] is type(_read(http_callback(name)))


def test_every_recorded_callback_is_judged_here() -> None:
    """No vector is left out unnoticed."""
    assert {case["name"] for case in FEISHU["http_callbacks"]} == {*KINDS, UNREADABLE}


def test_the_flat_object_of_some_documents_is_not_a_callback() -> None:
    """It is what one SDK hands to its users; the platform sends the envelope (the SDK recorded here fails too)."""
    with pytest.raises(UnreadableCallback):
        _read(http_callback(UNREADABLE))


def test_a_string_value_is_an_honest_click_where_the_sdk_fails() -> None:
    """The component's value may be a string; the SDK answers 500 to it."""
    for name in ("card_action_trigger_string_value", "legacy_card_string_value"):
        callback = _read(http_callback(name))
        assert isinstance(callback, CardAction | LegacyCardAction)
        assert '"plain string"' == callback.action.value


def test_a_plaintext_body_does_not_look_encrypted_although_the_sdk_takes_it() -> None:
    """The caller can see the downgrade: a plaintext body where an Encrypt Key is configured."""
    case = http_callback("card_action_trigger_plain_body_but_encrypt_key_configured_signed")
    assert 200 == case["sdk_status"]
    assert not isinstance(parse(case["body"].encode()), Encrypted)


@pytest.mark.parametrize("name", [name for name in KINDS if "url_verification" in name])
def test_a_challenge_is_answered_as_the_sdk_answers_it(name: str) -> None:
    """The console gets back what it sent; whether the token is right is the caller's question."""
    case = http_callback(name)
    callback = _read(case)
    assert isinstance(callback, Challenge)
    assert (case["sdk_status"] == 200) == (callback.token == case["verification_token"])
    if case["sdk_status"] == 200:
        assert case["sdk_response_body"].replace(" ", "").encode() == answer.challenge(callback.challenge)


def _recorded_call(method: str, path: str) -> dict[str, Any]:
    calls = FEISHU["sdk_outbound_requests"]["requests"]
    (found,) = [call for call in calls if (call["method"], call["path"]) == (method, path)]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "request_",
    [
        tenant_token(AppId(FEISHU["meta"]["app_id"]), FEISHU["meta"]["app_secret"]),
        send_text("oc_1", "hi", uuid="u-1"),
        rename_chat(ChatId("oc_1"), "跟进中"),
    ],
    ids=lambda request: request.api,
)
def test_our_calls_are_those_that_the_sdk_makes(request_: ApiRequest) -> None:
    """Same method, address, query and JSON."""
    query = "".join(f"?{name}={value}" for name, value in request_.query)
    recorded = _recorded_call(request_.method, request_.path + query)
    assert json.loads(recorded["body"]) == json.loads(request_.body or b"")


def test_our_card_update_differs_from_the_sdks_in_saying_that_the_card_is_shared() -> None:
    """The SDK sends what it is given; a card that does not say would be refused."""
    request = update_card(MessageId("om_1"), JsonText('{"elements":[]}'))
    recorded = json.loads(_recorded_call(request.method, request.path)["body"])
    assert {"content": '{"elements":[]}'} == recorded
    assert {"content": '{"elements":[],"config":{"update_multi":true}}'} == json.loads(request.body or b"")
