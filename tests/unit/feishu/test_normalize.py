from typing import Any

import msgspec
import pytest

from shared.core.cards import Toast
from shared.core.events import Action, Answer, InteractionReceived, Operator
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import JsonText
from shared.feishu.callback import (
    CardAction,
    Interactive,
    LegacyCardAction,
    LinkPreview,
    SubscribedEvent,
    UnreadableCallback,
)
from shared.feishu.normalize import delivery_key, normalize, platform_time

APP = AppId("cli_route")
TEXT = JsonText('{"schema":"2.0"}')
CLICK = CardAction(
    event_id=EventId("e1"),
    app_id=AppId("cli_body"),
    token="vtok",
    tenant_key=TenantKey("t1"),
    created="1749108924412345",
    operator=Operator(open_id=OpenId("ou_1")),
    message_id=MessageId("om_1"),
    chat_id=ChatId("oc_1"),
    host="im_message",
    delivery_type="url_preview",
    url="u",
    action=Action(tag="button"),
    card_token="c-1",
    preview_token="p-1",
    text=TEXT,
)
LEGACY = LegacyCardAction(created=None, text=TEXT)


def _normalize(callback: Interactive, **given: Any) -> InteractionReceived:
    defaults: dict[str, Any] = {
        "received_at": 1749108925000,
        "request_id": None,
        "delivery_key": None,
        "signature": "5165",
        "signed_at": 1749108924000,
    }
    return normalize(callback, app_id=APP, **{**defaults, **given})


def test_a_click_becomes_a_fact_with_all_that_is_known() -> None:
    """The app is the route's, never the body's."""
    answer = Answer(rule="follow_up", toast=Toast.info("好"))
    expected = InteractionReceived(
        event_id=EventId("e1"),
        kind="card_action",
        app_id=APP,
        tenant_key=TenantKey("t1"),
        operator=Operator(open_id=OpenId("ou_1")),
        message_id=MessageId("om_1"),
        chat_id=ChatId("oc_1"),
        host="im_message",
        delivery_type="url_preview",
        url="u",
        action=Action(tag="button"),
        card_token="c-1",
        preview_token="p-1",
        answer=answer,
        occurred_at=1749108924412,
        received_at=1749108925000,
        request_id="r",
        delivery_key=DeliveryKey("d"),
        callback=TEXT,
    )
    assert expected == _normalize(CLICK, answer=answer, request_id="r", delivery_key=DeliveryKey("d"))


def test_the_kept_body_can_be_switched_off() -> None:
    """Some teams may not store what was typed."""
    assert _normalize(CLICK, keep_callback=False).callback is None


def test_what_was_typed_into_a_form_can_be_left_out() -> None:
    """Of the action, and of the body in which it stands too; the rest of a click is as ever, an event has its body."""
    typed = msgspec.structs.replace(CLICK, action=Action(tag="button", form_value=JsonText('{"note":"x"}')))
    kept, left = _normalize(typed), _normalize(typed, keep_form_value=False)
    assert (None, None) == (left.action.form_value, left.callback)
    assert kept == msgspec.structs.replace(left, action=kept.action, callback=kept.callback)
    event = SubscribedEvent(event_type="out_approval", text=TEXT)
    assert TEXT == _normalize(event, keep_form_value=False).callback


@pytest.mark.parametrize(
    ("callback", "kind"),
    [
        (CLICK, "card_action"),
        (LEGACY, "card_action_v1"),
        (LinkPreview(text=TEXT), "link_preview"),
        (SubscribedEvent(event_type="out_approval", text=TEXT), "event"),
    ],
)
def test_the_kind_says_how_it_arrived(callback: Interactive, kind: str) -> None:
    """Answers and marks depend on it."""
    assert kind == _normalize(callback).kind


def test_a_legacy_click_is_known_by_its_verified_signature() -> None:
    """It covers timestamp, nonce and bytes: the same click repeated, another click not."""
    assert "5165" == _normalize(LEGACY).event_id


def test_a_callback_with_an_id_is_known_by_it_alone() -> None:
    """A repeated delivery is signed anew."""
    assert "e1" == _normalize(CLICK, signature="other").event_id


@pytest.mark.parametrize("signature", [None, ""])
def test_a_callback_that_nothing_identifies_is_refused(signature: str | None) -> None:
    """Content alone is no identity: honest second clicks look like the first."""
    with pytest.raises(UnreadableCallback):
        _normalize(LEGACY, signature=signature)


def test_a_legacy_click_happened_when_it_was_signed() -> None:
    """Its body has no time."""
    assert [1749108924000, 1749108925000] == [
        _normalize(LEGACY, signed_at=at).occurred_at for at in (1749108924000, None)
    ]


@pytest.mark.parametrize("created", [None, "", "soon", "174910892441234", "null"])
def test_an_unreadable_time_is_the_time_of_receipt(created: str | None) -> None:
    """Not the signed header's: that is when it was sent, not when it happened."""
    assert 1749108925000 == _normalize(SubscribedEvent(event_type="x", created=created, text=TEXT)).occurred_at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1749108924412", 1749108924412),
        ("1749108924412345", 1749108924412),
        ("1502199207.7171419", 1502199207717),
        ("1502199207.7", 1502199207700),
        ("1502199207", 1502199207000),
        ("1502199207.", None),
        ("-1749108924412", None),
        ("١٧٤٩١٠٨٩٢٤٤١٢", None),
        ("1e12", None),
        (None, None),
    ],
)
def test_a_time_is_read_by_its_number_of_digits(text: str | None, expected: int | None) -> None:
    """Milliseconds, microseconds and seconds with a fraction all occur."""
    assert expected == platform_time(text)


def test_the_same_bytes_with_the_same_request_id_are_one_delivery() -> None:
    """Either of them being different makes another delivery."""
    key = delivery_key("r-1", b"{}")
    assert key == delivery_key("r-1", b"{}")
    assert 3 == len({key, delivery_key("r-2", b"{}"), delivery_key("r-1", b"{ }")})


@pytest.mark.parametrize("request_id", [None, ""])
def test_without_a_request_id_there_is_no_delivery_key(request_id: str | None) -> None:
    """Bytes alone must not make two clicks one."""
    assert delivery_key(request_id, b"{}") is None


def test_a_request_id_of_strange_bytes_does_no_harm() -> None:
    """It is a header that anybody may have written."""
    assert delivery_key("\udcff", b"{}") != delivery_key("\udcfe", b"{}")
    assert "\ufffd" == _normalize(CLICK, request_id="\udcff").request_id


def test_a_callback_without_a_tenant_has_an_empty_one() -> None:
    """Keys begin with the app; a missing tenant must not lose the click."""
    assert "" == _normalize(LEGACY).tenant_key
