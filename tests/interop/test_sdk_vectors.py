"""The recorded vectors are what the official SDK does, and our own bytes are taken by it."""

import json
from typing import Any

import pytest

from shared.core.cards import Toast
from shared.core.events import Answer
from shared.core.json_text import JsonText
from shared.feishu.answer import challenge, not_recorded, render
from shared.feishu.callback import CardAction, LegacyCardAction, parse
from shared.feishu.crypto import Cipher
from shared.feishu.signature import sign, sign_legacy
from tests.interop import sdk
from tests.vectors import FEISHU, http_callback

pytestmark = [pytest.mark.interop, pytest.mark.slow]

KEY = FEISHU["meta"]["encrypt_key"]
TOKEN = FEISHU["meta"]["verification_token"]
LEGACY_CARD = {"toast": {"type": "info", "content": "ok"}, "config": {"update_multi": True}, "elements": []}


def _headers(timestamp: str, nonce: str, signature: str) -> dict[str, str]:
    return {
        "X-Lark-Request-Timestamp": timestamp,
        "X-Lark-Request-Nonce": nonce,
        "X-Lark-Signature": signature,
    }


def _signed(body: bytes, *, encrypt_key: str = KEY) -> dict[str, str]:
    return _headers("1749108924", "7", sign(body, timestamp="1749108924", nonce="7", encrypt_key=encrypt_key))


def _signed_legacy(body: bytes) -> dict[str, str]:
    return _headers("1749108924", "7", sign_legacy(body, timestamp="1749108924", nonce="7", verification_token=TOKEN))


def _encrypted(plaintext: str) -> bytes:
    return json.dumps({"encrypt": Cipher(KEY).encrypt(plaintext.encode(), iv=bytes(16))}).encode()


def _serve(case: dict[str, Any]) -> tuple[int, bytes]:
    credentials = case["encrypt_key"], case["verification_token"]
    if case["sdk_handler"] == "CardActionHandler":
        answers = case["name"] == "legacy_card_signed_returns_card"
        server = sdk.legacy(*credentials, on_card=lambda _: LEGACY_CARD if answers else None)
    elif case["name"] == "card_action_trigger_handler_returns_none":
        server = sdk.events(*credentials, on_card=lambda _: None)
    else:
        server = sdk.events(*credentials)
    return server(case["headers"], case["body"].encode())


@pytest.mark.parametrize("case", FEISHU["http_callbacks"], ids=lambda case: case["name"])
def test_the_sdk_still_does_what_was_recorded(case: dict[str, Any]) -> None:
    """The vectors are its behaviour, not our idea of it."""
    assert (case["sdk_status"], case["sdk_response_body"].encode()) == _serve(case)


@pytest.mark.parametrize("plaintext", ["hello world", "{}", "好" * 100, '{"k":"0123456789abcdef01234567"}', "x" * 16])
def test_the_sdk_decrypts_what_we_encrypt(plaintext: str) -> None:
    """The simulator's ciphertexts are the platform's."""
    assert plaintext == sdk.decrypt(KEY, Cipher(KEY).encrypt(plaintext.encode(), iv=bytes(range(16))))


def test_the_sdk_takes_a_callback_that_we_encrypted_and_signed() -> None:
    """And it reads the click as we read it."""
    plaintext = http_callback("card_action_trigger_plain_signed_with_empty_key")["body"]
    seen: list[Any] = []

    def on_card(event: Any) -> object:
        seen.append(event)
        return json.loads(render(Answer(toast=Toast.info("好")), "card_action"))

    body = _encrypted(plaintext)
    status, answered = sdk.events(KEY, TOKEN, on_card=on_card)(_signed(body), body)
    ours = parse(plaintext.encode())
    assert isinstance(ours, CardAction)
    assert (200, {"toast": {"type": "info", "content": "好"}}) == (status, json.loads(answered))
    (theirs,) = seen
    assert (theirs.header.event_id, theirs.header.token, theirs.header.app_id, theirs.header.tenant_key) == (
        ours.event_id,
        ours.token,
        ours.app_id,
        ours.tenant_key,
    )
    assert (theirs.event.operator.open_id, theirs.event.operator.user_id, theirs.event.operator.union_id) == (
        ours.operator.open_id,
        ours.operator.user_id,
        ours.operator.union_id,
    )
    assert (theirs.event.context.open_message_id, theirs.event.context.open_chat_id, theirs.event.token) == (
        ours.message_id,
        ours.chat_id,
        ours.card_token,
    )
    assert (theirs.event.action.tag, theirs.event.action.name, theirs.event.action.timezone) == (
        ours.action.tag,
        ours.action.name,
        ours.action.timezone,
    )
    assert theirs.event.action.value == json.loads(ours.action.value or "")
    assert theirs.event.action.form_value == json.loads(ours.action.form_value or "")


def test_the_sdk_takes_a_legacy_callback_that_we_signed() -> None:
    """And it reads the click as we read it."""
    body = http_callback("legacy_card_signed_handler_returns_none")["body"].encode()
    seen: list[Any] = []
    status, answered = sdk.legacy("", TOKEN, on_card=seen.append)(_signed_legacy(body), body)
    ours = parse(body)
    assert isinstance(ours, LegacyCardAction)
    assert (200, b'{"msg":"success"}') == (status, answered)
    (theirs,) = seen
    assert (theirs.open_id, theirs.open_message_id, theirs.open_chat_id, theirs.tenant_key, theirs.token) == (
        ours.operator.open_id,
        ours.message_id,
        ours.chat_id,
        ours.tenant_key,
        ours.card_token,
    )
    assert theirs.action.value == json.loads(ours.action.value or "")


@pytest.mark.parametrize("change", ["timestamp", "nonce", "body", "signature"])
def test_the_sdk_refuses_what_was_changed_after_we_signed_it(change: str) -> None:
    """Our signatures protect exactly what theirs do."""
    body = _encrypted(http_callback("card_action_trigger_plain_signed_with_empty_key")["body"])
    headers = _signed(body)
    match change:
        case "timestamp":
            headers["X-Lark-Request-Timestamp"] = "1749108925"
        case "nonce":
            headers["X-Lark-Request-Nonce"] = "8"
        case "signature":
            headers["X-Lark-Signature"] = headers["X-Lark-Signature"].upper()
        case _:
            body += b" "
    assert 500 == sdk.events(KEY, TOKEN)(headers, body)[0]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(toast=Toast.success("done", zh_cn="完成", en_us="done")),
        Answer(toast=Toast(content="x")),
        Answer(card=JsonText('{"schema":"2.0","body":{"elements":[]}}')),
        Answer(toast=Toast.error("x"), card=JsonText('{"type":"template","data":{"template_id":"AAq1"}}')),
        not_recorded(),
    ],
)
def test_the_sdk_reads_our_answers_and_writes_them_again_unchanged(answer: Answer) -> None:
    """Our toast and card are its own types' shapes."""
    body = render(answer, "card_action")
    assert json.loads(body) == sdk.toast_as_read(body)


def test_the_sdk_and_we_answer_a_challenge_alike() -> None:
    """Encrypted by us, decrypted and answered by it."""
    plaintext = json.dumps({"challenge": "x-1", "token": TOKEN, "type": "url_verification"})
    assert (200, challenge("x-1")) == sdk.events(KEY, TOKEN)({}, _encrypted(plaintext))
