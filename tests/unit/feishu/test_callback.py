import json
from typing import Any

import pytest

from shared.core.events import Action, Operator
from shared.core.ids import OpenId
from shared.core.json_text import JsonText
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

SECRETS = ("vtok-secret", "c-secret", "p-secret", "ticket-secret")

ENVELOPE: dict[str, Any] = {
    "schema": "2.0",
    "header": {
        "event_id": "e1",
        "token": "vtok-secret",
        "create_time": "1749108924412345",
        "event_type": "card.action.trigger",
        "tenant_key": "t1",
        "app_id": "cli_1",
    },
    "event": {
        "operator": {"tenant_key": "t2", "user_id": None, "open_id": "ou_1", "union_id": "on_1"},
        "token": "c-secret",
        "action": {"value": {"action": "follow_up"}, "tag": "button", "timezone": "Asia/Shanghai"},
        "host": "im_message",
        "delivery_type": "url_preview",
        "context": {
            "open_message_id": "om_1",
            "open_chat_id": "oc_1",
            "url": "https://example.com/",
            "preview_token": "p-secret",
        },
    },
}

LEGACY: dict[str, Any] = {
    "open_id": "ou_1",
    "user_id": "u1",
    "open_message_id": "om_1",
    "open_chat_id": "oc_1",
    "tenant_key": "t1",
    "token": "c-secret",
    "timezone": "Asia/Tokyo",
    "action": {"value": {"key": "follow"}, "tag": "button"},
}

FIRST_VERSION: dict[str, Any] = {
    "ts": "1502199207.7171419",
    "uuid": "bc44",
    "token": "vtok-secret",
    "type": "event_callback",
    "event": {"app_id": "cli_1", "tenant_key": "t1", "type": "app_ticket", "app_ticket": "ticket-secret"},
}


def _parse(body: object) -> Callback:
    return parse(json.dumps(body).encode())


def _click(**action: object) -> CardAction:
    callback = _parse({**ENVELOPE, "event": {**ENVELOPE["event"], "action": action}})
    assert isinstance(callback, CardAction)
    return callback


def _raw_click(action: bytes) -> CardAction:
    body = json.dumps(ENVELOPE).encode().replace(json.dumps(ENVELOPE["event"]["action"]).encode(), action)
    callback = parse(body)
    assert isinstance(callback, CardAction)
    return callback


def _event(event_type: str, **event: object) -> Callback:
    return _parse({**ENVELOPE, "header": {**ENVELOPE["header"], "event_type": event_type}, "event": event})


def test_a_new_callback_tells_who_clicked_what_where_and_when() -> None:
    """Every documented member is read."""
    callback = _parse(ENVELOPE)
    assert isinstance(callback, CardAction)
    assert ("e1", "vtok-secret", "cli_1", "t1") == (
        callback.event_id,
        callback.token,
        callback.app_id,
        callback.tenant_key,
    )
    assert ("om_1", "oc_1", "im_message", "url_preview", "https://example.com/") == (
        callback.message_id,
        callback.chat_id,
        callback.host,
        callback.delivery_type,
        callback.url,
    )
    assert ("1749108924412345", "c-secret", "p-secret") == (
        callback.created,
        callback.card_token,
        callback.preview_token,
    )
    assert Operator(open_id=OpenId("ou_1"), union_id="on_1") == callback.operator


def test_an_action_is_read_whole() -> None:
    """Forms, inputs, choices, checkers and pickers come through."""
    callback = _click(
        tag="select_static", name="n", value="v", form_value={"a": ["b"]}, input_value="", option="1",
        options=["1", "2"], checked=True, timezone="UTC",
    )  # fmt: skip
    expected = Action(
        tag="select_static", name="n", value=JsonText('"v"'), form_value=JsonText('{"a": ["b"]}'), input_value="",
        option="1", options=("1", "2"), checked=True, timezone="UTC",
    )  # fmt: skip
    assert expected == callback.action


def test_a_legacy_callback_tells_the_same_from_its_flat_body() -> None:
    """Its token is the card's, and it names neither app nor event."""
    callback = _parse(LEGACY)
    assert isinstance(callback, LegacyCardAction)
    assert (None, None, None, "c-secret") == (callback.event_id, callback.app_id, callback.token, callback.card_token)
    assert ("om_1", "oc_1", "t1") == (callback.message_id, callback.chat_id, callback.tenant_key)
    assert Operator(open_id=OpenId("ou_1"), user_id="u1") == callback.operator
    assert ('{"key": "follow"}', "Asia/Tokyo") == (callback.action.value, callback.action.timezone)


def test_a_link_that_is_still_being_typed_has_no_message() -> None:
    """Empty ids are absent ones."""
    callback = _event(
        "url.preview.get", host="im_message", context={"url": "u", "open_message_id": "", "open_chat_id": ""}
    )
    assert isinstance(callback, LinkPreview)
    assert (None, None, None, "u") == (callback.message_id, callback.chat_id, callback.preview_token, callback.url)


def test_a_subscribed_event_is_told_by_its_type() -> None:
    """What the app subscribed to is kept whole, without being understood."""
    callback = _event("im.message.receive_v1", message={"message_id": "om_1"})
    assert isinstance(callback, SubscribedEvent)
    assert ("im.message.receive_v1", "e1", None) == (callback.event_type, callback.event_id, callback.message_id)
    assert '"message":{"message_id": "om_1"}' in callback.text


def test_an_event_of_the_first_version_is_told_by_its_own_marks() -> None:
    """Its id is the uuid, its time ts, its app inside the event."""
    callback = _parse(FIRST_VERSION)
    assert isinstance(callback, SubscribedEvent)
    assert ("app_ticket", "bc44", "vtok-secret", "cli_1", "t1", "1502199207.7171419") == (
        callback.event_type,
        callback.event_id,
        callback.token,
        callback.app_id,
        callback.tenant_key,
        callback.created,
    )


def test_the_tenant_is_the_operators_where_the_header_has_none() -> None:
    """A click belongs to a tenant whichever member names it."""
    callback = _parse({**ENVELOPE, "header": {**ENVELOPE["header"], "tenant_key": None}})
    assert isinstance(callback, CardAction)
    assert "t2" == callback.tenant_key


def test_an_encrypted_body_is_only_that() -> None:
    """What is beside the ciphertext is nobody's word."""
    assert Encrypted(encrypt="abc") == _parse({**ENVELOPE, "encrypt": "abc"})


def test_a_challenge_carries_what_the_console_wants_back() -> None:
    """Its token may be missing; that is for admission to judge."""
    assert Challenge(challenge="x", token="v") == _parse({"challenge": "x", "token": "v", "type": "url_verification"})
    assert Challenge(challenge="x") == _parse({"challenge": "x", "type": "url_verification"})


@pytest.mark.parametrize("body", [ENVELOPE, LEGACY, FIRST_VERSION], ids=["new", "legacy", "first version"])
def test_no_token_stays_in_the_text_that_is_kept(body: dict[str, Any]) -> None:
    """Whoever may read the log finds no credential there, however its name is written."""
    plain = json.dumps(body, separators=(",", ":"))
    for spelled in (
        plain,
        plain.replace('"token"', '"tok\\u0065n"'),
        plain.replace('"action":{', '"action":{"o":"\\ud800",'),
    ):
        callback = parse(spelled.encode())
        assert not isinstance(callback, Encrypted | Challenge)
        assert not [secret for secret in SECRETS if secret in callback.text]
        assert "token" not in callback.text


@pytest.mark.parametrize("body", [ENVELOPE, LEGACY, FIRST_VERSION], ids=["new", "legacy", "first version"])
def test_everything_but_tokens_stays_in_the_text(body: dict[str, Any]) -> None:
    """Fields that are not understood today can be derived later."""

    def without(value: Any) -> Any:
        tokens = {"token", "preview_token", "app_ticket"}
        return {k: without(v) for k, v in value.items() if k not in tokens} if isinstance(value, dict) else value

    callback = _parse({**body, "new_field": 1})
    assert not isinstance(callback, Encrypted | Challenge)
    assert without({**body, "new_field": 1}) == json.loads(callback.text)


@pytest.mark.parametrize(
    "callback", [_parse(ENVELOPE), _parse(LEGACY), _parse(FIRST_VERSION)], ids=["new", "legacy", "first"]
)
def test_a_callback_does_not_show_tokens_or_what_people_typed(callback: Callback) -> None:
    """A traceback or a log line may hold the value's repr."""
    shown = repr(callback)
    assert not [secret for secret in (*SECRETS, "follow", "ou_1") if secret in shown]


@pytest.mark.parametrize(
    "value",
    [
        b"1e400",
        b"1" * 30,
        b"1" * 5000,
        rb'"\u0000"',
        rb'{"a":"\ud800"}',
        b"[ 1, {} ]",
        b"true",
        b'"s"',
        b"-0",
        b'{"a":1,"a":2}',
    ],
)
def test_a_value_of_any_json_survives_to_the_byte(value: bytes) -> None:
    """A button's value is other people's JSON; a click that carries it is an honest click."""
    callback = _raw_click(b'{"form_value":' + value + b',"value":' + value + b',"tag":"button"}')
    assert (value.decode(), value.decode(), "button") == (
        callback.action.value,
        callback.action.form_value,
        callback.action.tag,
    )
    assert value.decode() in callback.text


def test_lone_surrogates_in_typed_strings_are_replaced() -> None:
    """Ids and choices are stored as UTF-8; the exact bytes stay in the text."""
    callback = _raw_click(rb'{"tag":"b\ud800","option":"\udfff","input_value":"\u0000","options":["\ud800"]}')
    assert Action(tag="b\ufffd", option="\ufffd", input_value="\x00", options=("\ufffd",)) == callback.action
    assert r'"option":"\udfff"' in callback.text


@pytest.mark.parametrize("junk", [None, 1, 1.5, True, [], {}, "x", [[]], {"a": None}])
def test_members_of_a_wrong_type_or_null_are_as_good_as_absent(junk: Any) -> None:
    """A click is still a click if a member has a type that no document mentions."""
    names = ("operator", "action", "context", "host", "token", "delivery_type")
    callback = _parse({**ENVELOPE, "event": dict.fromkeys(names, junk)})
    assert isinstance(callback, CardAction)
    assert "e1" == callback.event_id
    wrong = {**LEGACY, **dict.fromkeys(LEGACY, junk)}
    assert isinstance(_parse(wrong), LegacyCardAction)


@pytest.mark.parametrize("event", [None, [], "x", 1])
def test_a_click_without_its_event_is_still_a_click(event: Any) -> None:
    """It has an id, so it can be recorded and looked at."""
    assert isinstance(_parse({**ENVELOPE, "event": event}), CardAction)


def test_an_explicit_null_value_is_no_value() -> None:
    """The platform writes null for what is absent."""
    assert Action() == _click(value=None, form_value=None, tag=None, options=None, checked=None).action


def test_a_time_may_be_a_number() -> None:
    """The document says string; a number would mean the same."""
    callback = _parse({**ENVELOPE, "header": {**ENVELOPE["header"], "create_time": 1749108924412}})
    assert isinstance(callback, CardAction)
    assert "1749108924412" == callback.created


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"encrypt"', b"{}", b"\xff", b'{"encrypt":1}', b'{"schema":"2.0"}',
        b'{"schema":"2.0","header":{"event_id":"e"}}', b'{"schema":"2.0","header":{"event_type":""}}',
        b'{"schema":"2.0","header":{"event_type":1}}', b'{"schema":"2.0","header":[]}', b'{"header":null,"action":{}}',
        b'{"type":"url_verification"}', b'{"type":"url_verification","challenge":1}',
        b'{"type":"event_callback"}', b'{"type":"event_callback","event":{"type":null}}', b'{"type":"other"}',
        b'{"action":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"schema":"2.0","header":{"event_type":"x"},"event":NaN}',
    ],
)  # fmt: skip
def test_only_what_cannot_be_told_at_all_is_unreadable(body: bytes) -> None:
    """The caller gets one error, whatever was sent."""
    with pytest.raises(UnreadableCallback):
        parse(body)


def test_an_unreadable_body_is_not_quoted() -> None:
    """What was sent stays out of logs."""
    with pytest.raises(UnreadableCallback) as refused:
        parse(b'{"whisper": NaN}')
    assert "whisper" not in str(refused.value)


def test_a_body_deeper_than_anybody_reads_says_so() -> None:
    """Handlers read with Python's parser, which has a bound."""
    body = b'{"schema":"2.0","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    with pytest.raises(UnreadableCallback, match="nested too deeply"):
        parse(body)
