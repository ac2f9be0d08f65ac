"""Every kind of callback, tag and value: recorded bytes and the documents' examples, through the whole gate."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.answers import CardAnswer, CustomAnswer, Preview
from shared.core.cards import Toast
from shared.core.codec import encode
from shared.core.errors import LogUnavailable
from shared.core.events import Answer, InteractionAnswered
from shared.feishu.signature import signed_at
from shared.observability.metrics import CALLBACKS, PREVIEWS_LOST
from tests.support.callbacks import (
    APP_ID,
    ENCRYPT_KEY,
    VERIFICATION_TOKEN,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
    subscribed,
)
from tests.support.doorway import doorway
from tests.vectors import FEISHU, http_callback

CARD: Final = {"elements": [{"tag": "markdown", "content": "跟进中"}]}
SHARED: Final = {**CARD, "config": {"update_multi": True}}

TAGS: Final[dict[str, dict[str, Any]]] = {
    "button": {"value": {"action": "follow_up"}},
    "input": {"input_value": "已处理 ✅"},
    "overflow": {"option": "1", "value": {"key": "v"}},
    "select_static": {"option": "2"},
    "select_person": {"option": "ou_1"},
    "multi_select_static": {"options": ["1", "2"]},
    "multi_select_person": {"options": ["ou_1", "ou_2"]},
    "date_picker": {"option": "2024-04-29 +0800", "timezone": "Asia/Shanghai"},
    "picker_time": {"option": "07:07 +0800", "timezone": "Asia/Shanghai"},
    "picker_datetime": {"option": "2024-04-29 07:07 +0800", "timezone": "Asia/Shanghai"},
    "checker": {"checked": True},
    "a_tag_of_tomorrow": {"value": "x"},
}
"""What each component sends, by docs/reference/platform.md, "Card callbacks"; the set is open."""


def answering() -> App:
    """Return an app that takes whatever comes, and answers each kind in its way."""
    app = App()
    app.on_action("card", answer=CardAnswer(CARD, toast=Toast.success("好", en_us="ok")), handler_name="card")(decides)
    app.on_action("custom", answer=CustomAnswer(400, {"content": "hello"}), handler_name="custom")(decides)
    app.on_link_preview(answer=Preview("链接预览测试"), handler_name="preview")(decides)
    app.on_event("out_approval")(decides)
    return app


def decides(interaction: Interaction, card: object) -> None:
    """Decide nothing."""


def opened(app: App, **given: Any) -> Any:
    """Open a gate with the keys of `tests.support.callbacks`."""
    return doorway(app, app_id=APP_ID, verification_token=VERIFICATION_TOKEN, encrypt_key=ENCRYPT_KEY, **given)


def recorded(name: str) -> tuple[Wire, Any]:
    """Return a recorded request, and a gate with its keys at its time."""
    case = http_callback(name)
    at = signed_at(case["headers"].get("X-Lark-Request-Timestamp", "1749108924"))
    opening = doorway(
        answering(),
        app_id=FEISHU["meta"]["app_id"],
        verification_token=case["verification_token"],
        encrypt_key=case["encrypt_key"],
        now=at or 0,
    )
    return Wire(body=case["body"].encode(), headers=case["headers"]), opening


def with_action(style: str, action: dict[str, Any]) -> Wire:
    """Return a click with this action, in either style."""
    if style == "legacy":
        return signed_legacy(plain({**legacy_click(), "action": action}))
    body = click()
    body["event"]["action"] = action
    return signed(encrypted(body))


@pytest.mark.parametrize("style", ["new", "legacy"])
@pytest.mark.parametrize("tag", list(TAGS))
async def test_every_component_is_recorded_with_what_it_sends(style: str, tag: str) -> None:
    """Member by member, whatever the tag; what nobody asked for is kept with the callback."""
    sent = {"tag": tag, "name": "n1", **TAGS[tag], "of_tomorrow": {"x": [1]}}
    async with opened(answering()) as door:
        reply = await door.send(with_action(style, sent))
        (received,) = await door.received()
    assert (200, "recorded") == (reply.status, reply.outcome)
    action = received.action
    expected = {name: value for name, value in sent.items() if name not in {"value", "of_tomorrow"}}
    told = {name: getattr(action, name) for name in expected}
    assert {**expected, **({"options": tuple(sent["options"])} if "options" in sent else {})} == told
    assert sent.get("value") == Interaction(received).value
    callback = Interaction(received).callback
    assert sent == (callback["event"] if style == "new" else callback)["action"]


VALUES: Final = {
    "string": '"plain string"',
    "object": '{"action":"x","n":{"a":[1,2]}}',
    "array": '[1,"2",null]',
    "number": "12345678901234567890.5",
    "truth value": "true",
    "empty string": '""',
}


@pytest.mark.parametrize("style", ["new", "legacy"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
async def test_every_value_reaches_the_handler_as_it_was(style: str, value: str) -> None:
    """The official SDKs take objects alone."""
    wire = with_action(style, {"tag": "button", "value": json.loads(value)})
    async with opened(answering()) as door:
        assert 200 == (await door.send(wire)).status
        (received,) = await door.received()
    assert json.loads(value) == Interaction(received).value


@pytest.mark.parametrize("style", ["new", "legacy"])
@pytest.mark.parametrize("action", [{"tag": "button", "value": None}, {"tag": "button"}, {}])
async def test_a_missing_value_is_an_honest_click(style: str, action: dict[str, Any]) -> None:
    """Null, or not there at all."""
    async with opened(answering()) as door:
        assert b"{}" == (await door.send(with_action(style, action))).body
        (received,) = await door.received()
    assert (None, None) == (received.action.value, Interaction(received).value)


@pytest.mark.parametrize("name", ["card_action_trigger_string_value", "legacy_card_string_value"])
async def test_a_recorded_string_value_is_taken_where_the_sdk_fails(name: str) -> None:
    """One of them is answered 500 by the SDK."""
    wire, opening = recorded(name)
    async with opening as door:
        assert 200 == (await door.send(wire)).status
        (received,) = await door.received()
    assert "plain string" == Interaction(received).value


async def test_a_recorded_link_is_answered_first_and_recorded_behind() -> None:
    """The document's shape; nobody waits for the log."""
    wire, opening = recorded("url_preview_get_encrypted_signed")
    async with opening as door:
        reply = await door.send(wire)
        assert (200, "answered") == (reply.status, reply.outcome)
        assert {"inline": {"title": "链接预览测试"}} == json.loads(reply.body)
        events = await door.events()
        (received,) = await door.received()
    assert ("link_preview", "preview") == (received.kind, received.answer.rule)
    assert not [event for event in events if isinstance(event, InteractionAnswered)]
    assert received.url
    assert received.preview_token


async def test_a_link_that_is_only_answered_is_not_recorded() -> None:
    """Somebody opens the chat a hundred times a day."""
    app = App()
    app.answer_link_preview("https://example.com/")(lambda link: Preview(link.url))
    body = click(event_type="url.preview.get")
    body["event"]["context"] = {"url": "https://example.com/1", "open_message_id": "", "open_chat_id": ""}
    async with opened(app) as door:
        reply = await door.send(signed(encrypted(body)))
        assert ("answered", {"inline": {"title": "https://example.com/1"}}) == (reply.outcome, json.loads(reply.body))
        assert [] == await door.events()


async def test_with_the_log_away_a_link_is_still_shown() -> None:
    """What the log then does not take is counted."""
    body = click(event_type="url.preview.get")
    async with opened(answering()) as door:
        door.log.error = LogUnavailable("away")
        reply = await door.send(signed(encrypted(body)))
        assert (200, {"inline": {"title": "链接预览测试"}}) == (reply.status, json.loads(reply.body))
        assert [] == await door.events()
        assert 1 == door.metrics.value(PREVIEWS_LOST)


async def test_a_recorded_first_version_event_is_recorded_for_its_handler() -> None:
    """With what it tells, its identity and its time."""
    wire, opening = recorded("p1_out_approval_plain")
    async with opening as door:
        reply = await door.send(wire)
        (received,) = await door.received()
    assert (200, b"{}", "recorded") == (reply.status, reply.body, reply.outcome)
    assert ("out_approval", "bc447199585340d1f3728d26b1c0297a", 1502199207717) == (
        received.event_type,
        received.event_id,
        received.occurred_at,
    )
    assert "A0000000-0000-0000-0000-000000000001" == Interaction(received).event["instance_code"]


async def test_a_recorded_event_that_nobody_asked_for_is_acknowledged_and_counted() -> None:
    """The SDK answers 500 and gets it again and again."""
    wire, opening = recorded("event_without_registered_handler")
    async with opening as door:
        reply = await door.send(wire)
        assert (200, b"{}") == (reply.status, reply.body)
        assert 1 == door.metrics.value(CALLBACKS, reply.received.app_id if reply.received else "", "event", "ignored")
        assert [] == await door.events()


async def test_an_events_content_is_recorded_although_callbacks_are_not_kept() -> None:
    """It has nothing else to tell; a click's is left out, as wished."""
    app = answering()
    app.on_event("im.chat.updated_v1", handler_name="chat")(decides)
    async with opened(app, keep_callback=False) as door:
        await door.send(signed(encrypted(subscribed())))
        await door.send(signed(encrypted(click())))
        event, clicked = await door.received()
    assert {"chat_id": "oc_1"} == Interaction(event).event
    assert clicked.callback is None


def tickets() -> Iterator[Any]:
    """Yield the event that brings a store app its ticket, in both envelopes."""
    ticket = {"app_id": APP_ID, "app_ticket": "ticket-secret", "type": "app_ticket"}
    first = {"ts": "1502199207.7", "uuid": "u1", "token": VERIFICATION_TOKEN, "type": "event_callback", "event": ticket}
    yield pytest.param(first, id="first version")
    yield pytest.param({**subscribed("app_ticket"), "event": ticket}, id="second version")


@pytest.mark.parametrize("body", [*tickets()])
async def test_a_store_apps_ticket_goes_to_the_log_without_a_handler(body: dict[str, Any]) -> None:
    """In a member of its own; nowhere else, and in no repr."""
    async with opened(answering()) as door:
        reply = await door.send(signed(encrypted(body)))
        (received,) = await door.received()
    assert (200, "recorded", "ticket-secret") == (reply.status, reply.outcome, received.app_ticket)
    assert "ticket-secret" not in f"{received.callback}{received!r}{reply!r}"
    assert 1 == encode(received).value.count(b"ticket-secret")


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(
            signed(encrypted(click(value="card"))),
            {
                "toast": {"type": "success", "content": "好", "i18n": {"en_us": "ok"}},
                "card": {"type": "raw", "data": SHARED},
            },
            id="new",
        ),
        pytest.param(
            signed_legacy(plain({**legacy_click(), "action": {"tag": "button", "value": "card"}})),
            {**SHARED, "toast": {"type": "success", "content": "好", "i18n": {"en_us": "ok"}}},
            id="legacy",
        ),
    ],
)
async def test_a_card_is_answered_in_the_form_of_each_style(wire: Wire, expected: Any) -> None:
    """And is part of the fact, as its author wrote it."""
    async with opened(answering()) as door:
        reply = await door.send(wire)
        assert (200, expected) == (reply.status, json.loads(reply.body))
        (received,) = await door.received()
    assert CARD == json.loads(received.answer.card or "")


@pytest.mark.parametrize(
    "wire",
    [
        signed(encrypted(click(value="custom"))),
        signed_legacy(plain({**legacy_click(), "action": {"tag": "button", "value": "custom"}})),
    ],
    ids=["new", "legacy"],
)
async def test_a_custom_answer_has_its_own_status(wire: Wire) -> None:
    """The click is recorded and marked as any other."""
    async with opened(answering()) as door:
        reply = await door.send(wire)
        assert (400, {"content": "hello"}, "recorded") == (reply.status, json.loads(reply.body), reply.outcome)
        received, mark = await door.events()
    assert isinstance(mark, InteractionAnswered)
    assert Answer(rule="custom", custom=CustomAnswer(400, '{"content":"hello"}')) == getattr(received, "answer", None)


async def test_an_answer_is_not_given_where_the_click_may_be_lost() -> None:
    """Whatever the handler would say, the person reads the truth."""
    async with opened(answering()) as door:
        door.log.error = LogUnavailable("away")
        for value in ("card", "custom"):
            reply = await door.send(signed(encrypted(click(value=value))))
            assert (200, "error") == (reply.status, json.loads(reply.body)["toast"]["type"])
