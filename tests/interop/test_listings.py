"""
The platform's tutorials, listing by listing.

The official SDK with a listing's code, and the handler that docs/howto/from-the-sdk.md shows beside it, get the same
bytes. The listings are those of the guides "处理回调" for Go and for Python; the SDK here is the one for Python, whose
handlers can do what the Go ones do.
"""

import asyncio
import importlib
import importlib.util
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from shared.app.app import App
from shared.core.ids import OpenId
from simulator.answers import Answered
from simulator.callbacks import Person
from simulator.seeing import Seen
from tests.interop import sdk
from tests.support import callbacks
from tests.support.documents import ROOT
from tests.support.world import ENCRYPTED, LEGACY, LONG_CONNECTION, TOKEN_ONLY, World, files, world

# After our own module, which silences what its import would warn of.
lark = importlib.import_module("lark_oapi")
model = importlib.import_module("lark_oapi.core.model")
im = importlib.import_module("lark_oapi.api.im.v1")

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.prints_callbacks]

PAGE: Final = ROOT / "docs" / "howto" / "from-the-sdk.md"
APP_ID: Final = "cli_a1b2c3d4e5f60718"
TOKEN: Final = ENCRYPTED["LARK_VERIFICATION_TOKEN"]
KEY: Final = ENCRYPTED["LARK_ENCRYPT_KEY"]
BLANK: Final = {"config": {"update_multi": True}, "elements": []}
I18N: Final = {"zh_cn": "你好", "en_us": "hello", "ja_jp": "こんにちは"}
DONE: Final = {
    "header": {"title": {"tag": "plain_text", "content": "已更新"}, "template": "green"},
    "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": "**好**"}}],
}

Server = Callable[[Mapping[str, str], bytes], tuple[int, bytes]]


def handlers(heading: str, folder: Path) -> App:
    """Return the app that the page shows under a heading."""
    page = PAGE.read_text()
    (code,) = re.findall(rf"^## {re.escape(heading)}\n.*?^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    path = folder / "shown.py"
    path.write_text(code)
    spec = importlib.util.spec_from_file_location("shown", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app = module.app
    assert isinstance(app, App)
    return app


@asynccontextmanager
async def ours(heading: str, folder: Path, *, credentials: Mapping[str, str] = ENCRYPTED) -> AsyncIterator[World]:
    """Run everything with the handlers of the page, beside a simulated platform."""
    async with world(files(folder), handlers(heading, folder), credentials=credentials) as running:
        yield running
        await running.quiet()
        await running.check()


async def both(running: World, path: str, server: Server, wire: callbacks.Wire) -> tuple[tuple[int, Any], ...]:
    """Return status and body with which the SDK and we answer the same bytes."""
    status, body = server(wire.headers, wire.body)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.gateway.url}{path}", data=wire.body, headers=wire.headers) as response,
    ):
        return (status, json.loads(body)), (response.status, json.loads(await response.read()))


def now() -> int:
    """Return the machine's time (ms), for headers that are signed."""
    return time.time_ns() // 1_000_000


def new_style(body: dict[str, Any]) -> callbacks.Wire:
    """Return a body as an app with an Encrypt Key gets it."""
    return callbacks.signed(callbacks.encrypted(body, key=KEY), key=KEY, at=now())


def clicked(event_id: str = "ev1", *, token: str = TOKEN) -> dict[str, Any]:
    """Return the body of a click."""
    return callbacks.click(event_id, app_id=APP_ID, token=token, value={"key": "value"})


def linked() -> dict[str, Any]:
    """Return the body of a link preview."""
    body = callbacks.click(app_id=APP_ID, token=TOKEN, event_type="url.preview.get")
    body["event"] = {
        "operator": {"tenant_key": "t1", "user_id": "u1", "open_id": "ou_1"},
        "host": "im_message",
        "context": {"url": "https://example.com/1", "preview_token": "p", "open_message_id": "om_1"},
    }
    return body


def legacy() -> callbacks.Wire:
    """Return a legacy click."""
    return callbacks.signed_legacy(callbacks.plain(callbacks.legacy_click()), token=TOKEN, at=now())


def with_legacy(on_card: Callable[[Any], object]) -> Server:
    """Return the SDK's server of legacy callbacks."""
    return sdk.legacy("", TOKEN, on_card=on_card)


def answer(content: Any) -> Any:
    """Return the SDK's answer to a new callback."""
    response = importlib.import_module("lark_oapi.event.callback.model.p2_card_action_trigger")
    return response.P2CardActionTriggerResponse(content)


def shown(running: World, message_id: str) -> Any:
    """Return the card that everybody sees."""
    card = running.simulator.platform.message(message_id).card
    return None if card is None else json.loads(card.text)


async def pressed(running: World, **action: Any) -> tuple[str, Seen]:
    """Put a card into a group and press its button; return its message and what the person saw."""
    message_id = running.simulator.put_card(await running.chat(), BLANK)
    return message_id, await running.simulator.click(message_id, {"key": "value"}, **action)


@pytest.mark.parametrize("path", ["/webhook/event", "/event"])
async def test_a_new_callback_is_answered_with_a_toast(tmp_path: Path, path: str) -> None:
    """Python: Flask on /event; Go: net/http on /webhook/event, whose toast is empty."""
    toast = {"type": "info", "content": "收到", "i18n": {"en_us": "Got it"}}
    seen: list[Any] = []

    def on_card(click: Any) -> Any:
        seen.append(click)
        return answer({"toast": toast})

    server = sdk.events(KEY, TOKEN, on_card=on_card)
    async with ours("A click with a toast", tmp_path) as running:
        theirs, mine = await both(running, path, server, new_style(clicked()))
        assert (200, {"toast": toast}) == theirs == mine
        assert {"key": "value"} == seen[0].event.action.value
        _, person = await pressed(running)
        assert (None, "收到") == (person.client_error, person.client_text)


async def test_clicks_and_links_come_over_the_long_connection(tmp_path: Path) -> None:
    """长连接代码 of both guides: the same handlers, and the same answers to the same payloads."""
    toast = {"type": "info", "content": "收到", "i18n": {"en_us": "Got it"}}
    inline = {"title": "告警详情", "i18n_title": {"en_us": "Alert"}}
    theirs = sdk.connected(on_card=lambda _: answer({"toast": toast}), on_link=lambda _: inline)
    listings = (("A click with a toast", clicked(), {"toast": toast}), ("A link", linked(), {"inline": inline}))
    for heading, body, expected in listings:
        (folder := tmp_path / heading).mkdir()
        async with ours(heading, folder, credentials=LONG_CONNECTION) as running:
            payload = callbacks.plain(body)
            heard = await running.simulator.connections.deliver(payload, message_id="m1")
            assert isinstance(heard, Answered)
            assert expected == theirs(payload) == json.loads(heard.body)


async def test_a_string_value_is_taken_too(tmp_path: Path) -> None:
    """Both guides: the SDK takes objects alone. Ours takes what the card builder lets people configure."""
    async with ours("A click with a toast", tmp_path) as running:
        body = callbacks.click(app_id=APP_ID, token=TOKEN, value="plain string")
        theirs, mine = await both(running, "/webhook/event", sdk.events(KEY, TOKEN), new_style(body))
        assert (500, 200) == (theirs[0], mine[0])


@pytest.mark.parametrize("path", ["/webhook/event", "/event"])
async def test_a_link_is_answered_with_its_title(tmp_path: Path, path: str) -> None:
    """Python: an inline title; ours besides in another language."""
    inline = {"title": "告警详情", "i18n_title": {"en_us": "Alert"}}
    async with ours("A link", tmp_path) as running:
        server = sdk.events(KEY, TOKEN, on_link=lambda _: inline)
        theirs, mine = await both(running, path, server, new_style(linked()))
        assert (200, {"inline": inline}) == theirs == mine
        person = Person(open_id=OpenId("ou_1"))
        seen = await running.simulator.deliverer.preview("https://example.com/1", operator=person, message_id=None)
        assert (None, "告警详情") == (seen.client_error, seen.client_text)


@pytest.mark.parametrize("credentials", [ENCRYPTED, TOKEN_ONLY], ids=["encrypted", "token only"])
async def test_a_customized_first_version_event_reaches_its_handler(
    tmp_path: Path, credentials: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Python: register_p1_customized_event. The same content for both, and nobody is asked again."""
    told: list[Any] = []
    content = {"app_id": APP_ID, "tenant_key": "t1", "type": "out_approval", "instance_code": "A-1", "user_id": "u1"}
    body = {"ts": "1502199207.7", "uuid": "u-1", "token": TOKEN, "type": "event_callback", "event": content}
    key = credentials.get("LARK_ENCRYPT_KEY", "")
    wire = new_style(body) if key else callbacks.signed(callbacks.plain(body), key="", at=now())
    server = sdk.events(key, TOKEN, on_event=told.append)
    async with ours("An event", tmp_path, credentials=credentials) as running:
        theirs, mine = await both(running, "/event", server, wire)
        assert (200, 200) == (theirs[0], mine[0])
        await running.quiet()
        (decision,) = await running.decisions()
        assert ("decided", "approved", "u-1") == (decision.result, decision.handler, decision.event_id)
    assert content == told[0].event
    assert str(content) in capsys.readouterr().out


@pytest.mark.parametrize("path", ["/webhook/card", "/card"])
async def test_a_legacy_click_without_an_answer_leaves_the_card(tmp_path: Path, path: str) -> None:
    """Go: NewCardActionHandler, also behind Gin. Nothing is shown, the handler has run."""
    async with ours("A click without an answer", tmp_path, credentials=LEGACY) as running:
        theirs, mine = await both(running, path, with_legacy(lambda _: None), legacy())
        assert ((200, {"msg": "success"}), (200, {})) == (theirs, mine)
        message_id, person = await pressed(running, style="legacy")
        assert (200, None, None) == (person.status, person.client_error, person.client_text)
        await running.quiet()
        assert {"decided"} == {decision.result for decision in await running.decisions()}
        assert BLANK == shown(running, message_id)


@pytest.mark.parametrize("path", ["/webhook/card", "/card"])
async def test_a_legacy_click_is_answered_with_a_card(tmp_path: Path, path: str) -> None:
    """Go: NewMessageCard; Python: a card without a config, which only who clicked sees. Ours is everybody's."""
    async with ours("A click answered with a card", tmp_path, credentials=LEGACY) as running:
        theirs, mine = await both(running, path, with_legacy(lambda _: DONE), legacy())
        assert ((200, DONE), (200, {**DONE, "config": {"update_multi": True}})) == (theirs, mine)
        message_id, person = await pressed(running, style="legacy")
        assert None is person.client_error
        assert {**DONE, "config": {"update_multi": True}} == shown(running, message_id)


async def test_a_new_click_is_answered_with_the_same_card(tmp_path: Path) -> None:
    """One handler for both styles: the new one wraps the card."""
    card = {"type": "raw", "data": {**DONE, "config": {"update_multi": True}}}
    server = sdk.events(KEY, TOKEN, on_card=lambda _: answer({"card": card}))
    async with ours("A click answered with a card", tmp_path) as running:
        theirs, mine = await both(running, "/webhook/card", server, new_style(clicked()))
        assert (200, {"card": card}) == theirs == mine


async def test_a_status_and_a_body_of_ones_own_are_answered(tmp_path: Path) -> None:
    """Go: CustomResp with status 400 and a text in three languages."""
    content = {"content": "hello", "i18n": I18N}

    def custom(_: Any) -> Any:
        response = model.RawResponse()
        response.status_code, response.content = 400, json.dumps(content).encode()
        return response

    async with ours("A status and a body of your own", tmp_path, credentials=LEGACY) as running:
        theirs, mine = await both(running, "/webhook/card", with_legacy(custom), legacy())
        assert (400, content) == theirs == mine
        _, person = await pressed(running, style="legacy")
        assert (400, 200671, content) == (person.status, person.client_error, json.loads(person.body or ""))


async def test_somebody_is_sent_a_message(tmp_path: Path) -> None:
    """Go: Im.Message.Create inside the handler. The SDK's client and our worker have the same message sent."""
    async with ours("A message to somebody", tmp_path, credentials=LEGACY) as running:
        _, person = await pressed(running, style="legacy", open_id="ou_ours")
        assert None is person.client_error
        await running.quiet()
        await asyncio.to_thread(_send, running, "ou_theirs", "已处理")
        platform = running.simulator.platform
        mine, theirs = (
            [(platform.messages[each].msg_type, platform.messages[each].content) for each in chat.message_ids]
            for chat in (platform.chat_with("ou_ours"), platform.chat_with("ou_theirs"))
        )
        assert [("text", {"text": "已处理"})] == [(kind, json.loads(text)) for kind, text in theirs]
        assert [("text", {"text": "已处理"})] == [(kind, json.loads(text)) for kind, text in mine]


async def test_a_forms_click_is_followed_up(tmp_path: Path) -> None:
    """添加自定义交互事件: the form's notes and the button's value, in the envelope that is really sent."""
    async with ours("A form's click", tmp_path) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        value = {"action": "complete_alarm", "time": "2025/06/05 07:35:21 (UTC+8)"}
        form = {"notes_input": "重启了"}
        await running.simulator.click(message_id, value, name="Button_1", timezone="Asia/Shanghai", form_value=form)
        await running.quiet()
        assert "重启了" in str(shown(running, message_id))
        assert "07:35:21" in str(shown(running, message_id))


async def test_buttons_are_told_apart_by_another_key(tmp_path: Path) -> None:
    """设置可交互的消息卡片并发送: button_type says which; buttons of other types change nothing."""
    async with ours("Buttons told apart by another key", tmp_path, credentials=LEGACY) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        for kind in ("another", "public_publish"):
            await running.simulator.click(message_id, {"button_type": kind, "button_id": "1"}, style="legacy")
        await running.quiet()
        assert ["decided", "ignored"] == sorted(decision.result for decision in await running.decisions())
        assert "已完成" in str(shown(running, message_id))


def test_every_handler_of_the_page_is_run_here() -> None:
    """A listing that nobody runs would rot."""
    headings = re.findall(r"^## ([^\n]+)\n(?=(?:(?!^## ).)*?^```python)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    here = Path(__file__).read_text()
    assert headings
    assert [] == [heading for heading in headings if f'"{heading}"' not in here]


def _send(running: World, to: str, text: str) -> None:
    app = running.simulator.platform.app
    client = lark.Client.builder().app_id(app.app_id).app_secret(app.app_secret).domain(running.simulator.url).build()
    body = im.CreateMessageRequestBody.builder().receive_id(to).msg_type("text").content(json.dumps({"text": text}))
    asked = im.CreateMessageRequest.builder().receive_id_type("open_id").request_body(body.build()).build()
    assert client.im.v1.message.create(asked).success()
