import json
from typing import Any

import pytest

from shared.core.ids import AppId, ChatId, EventId, MessageId
from shared.core.json_text import JsonText
from shared.feishu.openapi import (
    LONGEST_RATE_WAIT_MS,
    ApiReply,
    ApiRequest,
    PlatformError,
    SentMessage,
    Success,
    Token,
    get_message,
    idempotency_key,
    read,
    read_token,
    receiver,
    rename_chat,
    send_card,
    send_text,
    sent,
    target_of,
    tenant_token,
    update_card,
)

APP = AppId("cli_1")


def _body(request: ApiRequest) -> Any:
    return None if request.body is None else json.loads(request.body)


def _reply(status: int, body: object, **headers: str) -> ApiReply:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiReply(
        status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=text
    )


@pytest.mark.parametrize(
    ("request_", "api", "line", "body"),
    [
        (
            tenant_token(APP, "s"),
            "auth.v3.tenant_access_token.internal",
            "POST /open-apis/auth/v3/tenant_access_token/internal",
            {"app_id": "cli_1", "app_secret": "s"},
        ),
        (
            update_card(MessageId("om_1"), JsonText('{"config":{"update_multi":true}}')),
            "im.v1.message.patch",
            "PATCH /open-apis/im/v1/messages/om_1",
            {"content": '{"config":{"update_multi":true}}'},
        ),
        (
            rename_chat(ChatId("oc_1"), "跟进中"),
            "im.v1.chat.update",
            "PUT /open-apis/im/v1/chats/oc_1",
            {"name": "跟进中"},
        ),
        (
            send_card("oc_1", JsonText('{"schema":"2.0"}'), uuid="u"),
            "im.v1.message.create",
            "POST /open-apis/im/v1/messages",
            {"receive_id": "oc_1", "msg_type": "interactive", "content": '{"schema":"2.0"}', "uuid": "u"},
        ),
        (
            send_text("ou_1", 'say "好"', uuid="u"),
            "im.v1.message.create",
            "POST /open-apis/im/v1/messages",
            {"receive_id": "ou_1", "msg_type": "text", "content": '{"text":"say \\"好\\""}', "uuid": "u"},
        ),
        (get_message(MessageId("om_1")), "im.v1.message.get", "GET /open-apis/im/v1/messages/om_1", None),
    ],
    ids=["token", "patch", "rename", "card", "text", "get"],
)
def test_a_call_is_made_as_documented(request_: ApiRequest, api: str, line: str, body: Any) -> None:
    """Method, address, body and the name that rate limits know it by."""
    assert (api, line, body) == (request_.api, f"{request_.method} {request_.path}", _body(request_))


@pytest.mark.parametrize("call", [update_card, send_card])
def test_a_card_that_does_not_say_is_sent_as_everybodys(call: Any) -> None:
    """Or it could not be updated later."""
    request = call(MessageId("om_1"), JsonText("{}"), **({"uuid": "u"} if call is send_card else {}))
    assert '{"config":{"update_multi":true}}' == _body(request)["content"]


def test_a_call_does_not_show_what_it_carries() -> None:
    """Secrets and texts stay out of logs."""
    assert "s3cr3t" not in repr(tenant_token(APP, "s3cr3t"))
    assert "whisper" not in repr(send_text("oc_1", "whisper", uuid="u"))


@pytest.mark.parametrize("odd", ["om_1/../../x", "..", ".", "om_1?x=1", "om 1", "好", "\ud800", "a%2Fb"])
def test_an_id_never_becomes_another_address(odd: str) -> None:
    """Ids come from callbacks; whatever they hold stays one segment of the path."""
    path = get_message(MessageId(odd)).path
    assert path.startswith("/open-apis/im/v1/messages/")
    segment = path.removeprefix("/open-apis/im/v1/messages/")
    assert segment.isascii()
    assert not set(segment) & set("/?#. ")


def test_a_text_with_a_lone_surrogate_can_be_sent() -> None:
    """It is written as an escape."""
    assert {"text": "\ud800"} == json.loads(_body(send_text("oc_1", "\ud800", uuid="u"))["content"])


@pytest.mark.parametrize(
    ("to", "kind", "target"),
    [
        ("oc_1", "chat_id", "chat:oc_1"),
        ("ou_1", "open_id", "user:ou_1"),
        ("on_1", "union_id", "user:on_1"),
        ("a@example.com", "email", "user:a@example.com"),
        ("u1", "user_id", "user:u1"),
    ],
)
def test_a_receiver_is_told_by_its_form(to: str, kind: str, target: str) -> None:
    """Chats and people are paced apart."""
    assert (kind, to) == receiver(to)
    assert target == target_of(to)
    assert (("receive_id_type", kind),) == send_text(to, "x", uuid="u").query


def test_an_idempotency_key_names_one_effect_for_ever() -> None:
    """The same effect gives the same key, another effect another, and the platform can take it."""
    key = idempotency_key(APP, EventId("e1"), 1)
    assert "acdl5e7ihgzyqjtsg6kcz2j4ke" == key
    others = {
        idempotency_key(APP, EventId("e1"), 2),
        idempotency_key(APP, EventId("e2"), 1),
        idempotency_key(AppId("cli_2"), EventId("e1"), 1),
    }
    assert 3 == len(others - {key})
    assert 26 == len(idempotency_key(APP, EventId("\ud800"), 1))


@pytest.mark.parametrize("data", [{"message_id": "om_1"}, {}])
def test_code_zero_is_success(data: dict[str, Any]) -> None:
    """The message text is never looked at: it is ok here and success there."""
    reply = _reply(200, {"code": 0, "msg": "whatever", "data": data}, x_tt_logid="log")
    assert Success(data=data, log_id="log") == read(reply)


@pytest.mark.parametrize("status", [200, 400])
def test_a_log_id_can_always_be_written_down(status: int) -> None:
    """Bytes that are not UTF-8 arrive as lone surrogates; an outcome that holds one could never be stored."""
    log_id = read(_reply(status, {"code": status - 200}, x_tt_logid=b"a\xff".decode("utf-8", "surrogateescape"))).log_id
    assert "a?" == log_id


def test_success_without_data_has_none() -> None:
    """Some calls answer nothing but the code."""
    assert Success(data={}) == read(_reply(200, {"code": 0}))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            _reply(400, {"code": 230031, "msg": "x"}, x_tt_logid="log"),
            PlatformError(code=230031, http_status=400, verdict="target_final", log_id="log"),
        ),
        (_reply(200, {"code": 230001}), PlatformError(code=230001, http_status=200, verdict="target_final")),
        (_reply(500, {"code": 0}), PlatformError(code=None, http_status=500, verdict="retry")),
        (_reply(502, b"<html>"), PlatformError(code=None, http_status=502, verdict="retry")),
        (_reply(200, b""), PlatformError(code=None, http_status=200, verdict="retry")),
        (_reply(200, b"[]"), PlatformError(code=None, http_status=200, verdict="retry")),
        (_reply(200, {"code": "0"}), PlatformError(code=None, http_status=200, verdict="retry")),
        (_reply(200, {"code": False}), PlatformError(code=None, http_status=200, verdict="retry")),
        (_reply(200, b"\xff"), PlatformError(code=None, http_status=200, verdict="retry")),
    ],
)
def test_everything_else_is_an_error_with_a_verdict(reply: ApiReply, expected: PlatformError) -> None:
    """Whatever comes back becomes a value, never an exception."""
    assert expected == read(reply)


@pytest.mark.parametrize(
    ("reset", "expected"),
    [
        ("52", 52_000), (" 1 ", 1_000), ("0.5", 500), ("0", 0), (None, None), ("soon", None), ("-1", None), ("", None),
        ("1e9", None), ("\x1e1", None), ("999999999", LONGEST_RATE_WAIT_MS),
    ],
)  # fmt: skip
def test_a_rate_limit_says_how_long_to_wait(reset: str | None, expected: int | None) -> None:
    """In seconds, in a header of its own; nonsense is no word."""
    headers = {} if reset is None else {"x_ogw_ratelimit_reset": reset}
    for status in (429, 400):
        error = read(_reply(status, {"code": 99991400}, **headers))
        assert PlatformError(code=99991400, http_status=status, verdict="rate_limit", retry_after_ms=expected) == error


def test_only_a_rate_limit_says_how_long_to_wait() -> None:
    """The header may come with other answers, where it means nothing to us."""
    error = read(_reply(400, {"code": 230031}, x_ogw_ratelimit_reset="52"))
    assert isinstance(error, PlatformError)
    assert error.retry_after_ms is None


def test_a_token_stands_at_the_top_of_its_reply() -> None:
    """Unlike everything else, which stands under data; and it is not shown."""
    token = read_token(_reply(200, {"code": 0, "msg": "ok", "tenant_access_token": "t-1", "expire": 7200}))
    assert Token(value="t-1", expires_in_s=7200) == token
    assert "t-1" not in repr(token)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            _reply(200, {"code": 10014}, x_tt_logid="l"),
            PlatformError(code=10014, http_status=200, verdict="configuration", log_id="l"),
        ),
        (_reply(400, {"code": 10003}), PlatformError(code=10003, http_status=400, verdict="configuration")),
        (_reply(400, {"code": 99991663}), PlatformError(code=99991663, http_status=400, verdict="configuration")),
        (_reply(503, b""), PlatformError(code=None, http_status=503, verdict="retry")),
        (_reply(429, {"code": 99991400}), PlatformError(code=99991400, http_status=429, verdict="rate_limit")),
        (_reply(200, {"code": 0}), PlatformError(code=None, http_status=200, verdict="retry")),
        (
            _reply(200, {"code": 0, "tenant_access_token": ""}),
            PlatformError(code=None, http_status=200, verdict="retry"),
        ),
        (
            _reply(200, {"code": 0, "tenant_access_token": "t", "expire": "1"}),
            PlatformError(code=None, http_status=200, verdict="retry"),
        ),
    ],
)
def test_a_refused_token_is_a_matter_of_configuration_unless_it_passes(
    reply: ApiReply, expected: PlatformError
) -> None:
    """Asking again with the same secret cannot mend a wrong secret."""
    assert expected == read_token(reply)


@pytest.mark.parametrize("data", [
    {"message_id": "om_1", "chat_id": "oc_1", "create_time": "1749108924412"},
    {"items": [{"message_id": "om_1", "chat_id": "oc_1", "create_time": "1749108924412"}]},
])  # fmt: skip
def test_a_message_is_read_from_a_send_and_from_a_search_alike(data: dict[str, Any]) -> None:
    """One gives the message, the other a list of one."""
    assert SentMessage(message_id=MessageId("om_1"), chat_id=ChatId("oc_1"), created_at=1749108924412) == sent(data)


@pytest.mark.parametrize(
    "data", [{}, {"items": []}, {"items": [1]}, {"message_id": 1, "chat_id": "", "create_time": 5}]
)
def test_what_a_reply_leaves_out_is_none(data: dict[str, Any]) -> None:
    """Nothing is made up."""
    assert SentMessage(message_id=None, chat_id=None, created_at=None) == sent(data)


@pytest.mark.parametrize(
    ("message", "inner"),
    [
        ("Failed to create card content, ext=ErrCode: 200220; ErrMsg: what somebody typed; ", 200220),
        ("ErrCode: 12345678901;", None),
        ("ErrCode: x", None),
        (7, None),
    ],
)
def test_of_the_platforms_message_only_a_number_is_read(message: object, inner: int | None) -> None:
    """It quotes what was sent, which must not reach a line or a record; the number behind ErrCode says more."""
    refused = read(_reply(400, {"code": 230099, "msg": message}))
    assert PlatformError(code=230099, http_status=400, verdict="target_final", inner=inner) == refused
