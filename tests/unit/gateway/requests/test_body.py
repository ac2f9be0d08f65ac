"""The body of a request: what it may ask for, and the one line about what it may not."""

import json
import re
from typing import Any

import pytest

from gateway.requests.body import MAX_EFFECTS, BadRequest, read_request
from shared.core.codec import decode, encode
from shared.core.effects import (
    REQUESTABLE,
    DeleteEphemeral,
    RenameChat,
    Reply,
    SendCard,
    SendEphemeral,
    SendText,
    UpdateCard,
    UpdateChat,
)
from shared.core.ids import MessageId
from tests.support.asking import request

TEXT = {"kind": "SendText", "text": "好", "to": "oc_1"}
UPDATE = {"kind": "UpdateCard", "message_id": "om_1", "card": {"n": 1}}


def told(body: Any) -> str:
    """Return the line about a body, JSON unless it is bytes."""
    with pytest.raises(BadRequest) as caught:
        read_request(body if isinstance(body, bytes) else json.dumps(body).encode())
    return str(caught.value)


def test_a_body_becomes_the_fact_that_a_caller_asked() -> None:
    """Effects as they are stored, the id with the caller's name, the card that it is about."""
    rename = {"kind": "RenameChat", "name": "跟进中"}
    send = {"kind": "SendCard", "card": {"elements": []}, "to": "ou_1"}
    body = json.dumps({**request(UPDATE, rename, send, TEXT), "tenant_key": "t1"}).encode()
    received = read_request(body).by("billing", 7)
    assert ("req/billing/r1", "om_1", "t1", 7, 7) == (
        received.event_id,
        received.message_id,
        received.tenant_key,
        received.occurred_at,
        received.received_at,
    )
    assert (
        UpdateCard('{"n": 1}', "om_1"),
        RenameChat("跟进中"),
        SendCard('{"elements": []}', "ou_1"),
        SendText("好", "oc_1"),
    ) == received.effects


def test_what_else_can_be_asked_for() -> None:
    """Answers to messages, changes of chats, cards that one person sees: with everything that they need written out."""
    received = read_request(
        json.dumps(
            request(
                {"kind": "Reply", "message_id": "om_1", "text": "收到"},
                {"kind": "Reply", "message_id": "om_1", "card": {"elements": []}, "in_thread": True},
                {"kind": "UpdateChat", "description": "支付告警", "i18n_names": {"en_us": "Alerts"}, "chat_id": "oc_1"},
                {"kind": "SendEphemeral", "card": {"elements": []}, "to": "ou_1", "chat_id": "oc_1"},
                {"kind": "DeleteEphemeral", "message_id": "om_2"},
            )
        ).encode()
    ).by("billing", 7)
    assert (
        Reply("收到", None, "om_1"),
        Reply(None, '{"elements": []}', "om_1", in_thread=True),
        UpdateChat(None, "支付告警", None, {"en_us": "Alerts"}, "oc_1"),
        SendEphemeral('{"elements": []}', "ou_1", "oc_1"),
        DeleteEphemeral(MessageId("om_2")),
    ) == received.effects
    assert None is received.message_id


@pytest.mark.parametrize(
    ("effect", "line"),
    [
        ({"kind": "Reply", "message_id": "om_1"}, "effects[0].text is missing, or there is a card besides"),
        (
            {"kind": "Reply", "message_id": "om_1", "text": "a", "card": {}},
            "effects[0].text is missing, or there is a card besides",
        ),
        ({"kind": "Reply", "text": "a"}, "effects[0].message_id is missing"),
        ({"kind": "UpdateChat", "chat_id": "oc_1"}, "effects[0].name is missing, as is all else that could change"),
        ({"kind": "UpdateChat", "name": "a"}, "effects[0].chat_id is missing"),
        ({"kind": "SendEphemeral", "card": {}, "to": "ou_1"}, "effects[0].chat_id is missing"),
        ({"kind": "SendEphemeral", "card": {}, "chat_id": "oc_1"}, "effects[0].to is missing"),
        ({"kind": "RefreshPreview"}, "effects[0].kind is malformed"),
    ],
)
def test_what_such_effects_lack_is_told(effect: dict[str, object], line: str) -> None:
    """By the field that is missing."""
    assert line in told(request(effect))


def test_a_card_is_recorded_as_it_was_sent() -> None:
    """Numbers beyond every parser, spaces and escapes: not our business."""
    card = r'{ "n": 123456789012345678901234567890, "x": 1e400, "z": "\u0000" }'
    body = '{"request_id":"r","app_id":"cli_a","effects":[{"kind":"SendCard","to":"oc_1","card":%s}]}'
    received = read_request((body % card).encode()).by("billing", 7)
    (effect,) = received.effects
    assert SendCard(card, "oc_1") == effect
    record = encode(received)
    assert received == decode(record.headers, record.value)


def test_every_effect_of_the_list_can_be_asked_for() -> None:
    """What a caller may be allowed is what a body may say."""
    kinds = re.search(r"expected one of (.+), for example", told(request({"kind": "CallApi"})))
    assert kinds is not None
    assert list(REQUESTABLE) == kinds[1].split(", ")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", "the body is no JSON: expected a request in UTF-8, for example {"),
        (b'{"request_id": "\xff"}', "the body is no JSON: expected a request in UTF-8, for example {"),
        (b'{"request_id": "\\ud800"}', "the body is no JSON: expected a request in UTF-8, for example {"),
        (b"[" * 100_000, "the body is no"),
        ([], "the body is no object: expected a request, for example {"),
        (
            {},
            "request_id is missing: expected 1 to 128 letters, digits, dots, colons, dashes and underscores, for",
        ),
        ({**request(TEXT), "request_id": "a b"}, "request_id is malformed: expected 1 to 128 letters"),
        ({**request(TEXT), "request_id": "a\n"}, "request_id is malformed: expected 1 to 128 letters"),
        ({**request(TEXT), "request_id": 5}, "request_id is malformed: expected 1 to 128 letters"),
        ({**request(TEXT), "app_id": "cli a"}, "app_id is malformed: expected an app's id, for example"),
        ({**request(TEXT), "planted": 1}, "planted is no field: expected request_id, app_id, effects, tenant_key, for"),
        ({**request(TEXT), "pl anted": 1}, "something is no field: expected request_id, app_id"),
        (request(), "effects is malformed: expected 1 to 20 effects, for example"),
        (request(*[TEXT] * (MAX_EFFECTS + 1)), "effects is malformed: expected 1 to 20 effects, for example"),
        (request({}), "effects[0].kind is missing: expected one of UpdateCard, UpdateElement, "),
        (
            request(TEXT, {"kind": "Call"}),
            "effects[1].kind is malformed: expected one of UpdateCard, UpdateElement, StreamText",
        ),
        (request({**TEXT, "planted": 1}), "effects[0].planted is no field: expected those of its kind, for example"),
        (
            request({"kind": "SendText", "to": "oc_1"}),
            "effects[0].text is missing: expected some text, for example",
        ),
        (request({**TEXT, "text": ""}), 'effects[0].text is malformed: expected some text, for example "text": "…"'),
        (request({**TEXT, "to": "oc 1"}), "effects[0].to is malformed: expected a chat, a person or an address, for"),
        (
            request({**TEXT, "to": None}),
            "effects[0].to is missing: expected a chat, a person or an address",
        ),
        (
            request({"kind": "RenameChat", "name": "x"}),
            "effects[0].chat_id is missing: expected a chat's id, for example \"",
        ),
        (request({"kind": "UpdateCard", "card": {}}), "effects[0].message_id is missing: expected a message's id"),
        (
            request({**UPDATE, "card": []}),
            "effects[0].card is no JSON object: expected a card's JSON object, for",
        ),
        (request({**UPDATE, "card": float("nan")}), "the body is no JSON"),
        (
            request({**UPDATE, "message_id": "om_\0"}),
            "effects[0].message_id is malformed: expected a message's id",
        ),
        (
            request(UPDATE, {**UPDATE, "message_id": "om_2"}),
            "effects update 2 cards: expected one card in a request",
        ),
    ],
)
def test_what_is_no_request_is_told_in_one_line(body: Any, line: str) -> None:
    """The field, what was expected, an example; never what was given."""
    found = told(body)
    assert found.startswith(line)
    assert " expected " in found
    assert " for example " in found
    assert "\n" not in found
