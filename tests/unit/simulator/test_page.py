import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from shared.core.json_text import JsonText
from simulator.app import RunningSimulator
from simulator.page.drawing import Press, draw
from simulator.page.serving import action_of
from simulator.refusals import Refused
from tests.unit.simulator.asking import Asking
from tests.unit.simulator.receiver import Receiver
from tests.unit.simulator.world import card, card_2_0

ALICE, BOB = "ou_alice", "ou_bob"
PRESS = Press(message_id="om_1", person=ALICE)


def drawn(content: Any) -> str:
    """Return a card as HTML."""
    return draw(JsonText(json.dumps(content)), PRESS)


def actions(page: str) -> list[Any]:
    """Return what the page's buttons would report."""
    return [json.loads(html.unescape(each)) for each in re.findall(r'<button name="action" value="([^"]*)">', page)]


class Looking:
    """Somebody's browser."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, f"{url}/_sim/"

    async def page(self, person: str = ALICE, **more: str) -> str:
        """Return the page as this person sees it."""
        async with self._session.get(f"{self._url}page?{urlencode({'as': person, **more})}") as response:
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            return await response.text()

    async def press(self, **fields: str) -> tuple[int, str]:
        """Send a form; return status and page of what it leads to."""
        async with self._session.post(f"{self._url}press", data=fields) as response:
            return response.status, await response.text()


@pytest.fixture
def looking(session: aiohttp.ClientSession, sim: RunningSimulator) -> Looking:
    """Return a browser."""
    return Looking(session, sim.control_url)


async def test_a_group_is_shown_and_its_card_clicked(looking: Looking, ask: Asking, receiver: Receiver) -> None:
    """Pressing the button sends the callback, and the page says what the person's client says."""
    button = {"tag": "button", "text": {"tag": "plain_text", "content": "跟进处理"}, "value": {"action": "follow_up"}}
    _, message_id = await ask.card({"elements": [{"tag": "action", "actions": [button]}]})
    page = await looking.page()
    assert "报警群" in page
    assert "跟进处理" in page
    receiver.answer = (200, json.dumps({"toast": {"type": "info", "content": "正在跟进"}}).encode())
    (action,) = actions(page)
    status, after = await looking.press(**{"message_id": message_id, "as": BOB, "action": json.dumps(action)})
    assert (200, True, True) == (status, "正在跟进" in after, f'value="{BOB}"' in after)
    receiver.answer = (500, b"")
    _, after = await looking.press(message_id=message_id, action=json.dumps(action))
    assert "error 200671" in after


async def test_everybody_sees_their_own(looking: Looking, ask: Asking, sim: RunningSimulator) -> None:
    """Texts, ephemeral cards, views of one's own, streamed text and links are shown plainly; recalled ones are not."""
    chat_id, recalled = await ask.card(card("不见了"))
    await ask.post("recall", {"message_id": recalled})
    platform = sim.platform
    chat = platform.chat(chat_id)
    platform.put(chat, msg_type="text", content='{"text":"大家好"}', card=None)
    headers = await ask.token()
    only = {"chat_id": chat_id, "open_id": ALICE, "msg_type": "interactive", "card": card("秘密")}
    entity = {"type": "card_json", "data": json.dumps({**card_2_0("流"), "config": {"streaming_mode": True}})}
    async with aiohttp.ClientSession(f"{sim.url}/open-apis/", headers=headers) as session:
        await session.post("ephemeral/v1/send", json=only)
        async with session.post("cardkit/v1/cards", json=entity) as made:
            card_id = (await made.json())["data"]["card_id"]
        content = json.dumps({"type": "card", "data": {"card_id": card_id}})
        body = {"receive_id": chat_id, "msg_type": "interactive", "content": content}
        await session.post("im/v1/messages?receive_id_type=chat_id", json=body)
    alice, bob = await looking.page(ALICE), await looking.page(BOB)
    assert [True, True, True, False] == [text in alice for text in ("大家好", "秘密", "streaming…", "不见了")]
    assert ("仅对你可见" in alice, "秘密" in bob) == (True, False)


async def test_a_links_preview_is_shown_to_who_asked(looking: Looking, ask: Asking, receiver: Receiver) -> None:
    """The line that the app answered, below the message."""
    _, message_id = await ask.card()
    button = {"tag": "button", "text": {"tag": "plain_text", "content": "去"}}
    answer = {"inline": {"title": "报警 <1>"}, "card": {"type": "raw", "data": {"elements": [button]}}}
    receiver.answer = (200, json.dumps(answer).encode())
    await ask.post("previews", {"url": "https://example.com", "message_id": message_id, "operator": {"open_id": ALICE}})
    alice, bob = await looking.page(ALICE), await looking.page(BOB)
    assert ("报警 &lt;1&gt;" in alice, "报警 &lt;1&gt;" in bob) == (True, False)
    assert "<fieldset disabled>" in alice


async def test_the_page_looks_again_by_itself_unless_somebody_may_be_writing(looking: Looking, ask: Asking) -> None:
    """What one is filling in is not taken away."""
    chat_id, _ = await ask.card()
    assert 'http-equiv="refresh"' in await looking.page()
    await ask.post("cards", {"chat_id": chat_id, "card": {"elements": [{"tag": "input", "name": "note"}]}})
    assert 'http-equiv="refresh"' not in await looking.page()


async def test_without_a_group_the_page_says_so(looking: Looking) -> None:
    """A newcomer looks before anything was made."""
    assert "no group yet" in await looking.page()


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 404), ({"message_id": "om_unknown"}, 404), ({"action": "[]"}, 400), ({"action": "{"}, 400)],
)
async def test_what_is_no_press_is_a_mistake(looking: Looking, ask: Asking, fields: Any, status: int) -> None:
    """One line says what is wrong."""
    _, message_id = await ask.card()
    sent = {"message_id": message_id, **fields} if "action" in fields else fields
    assert status == (await looking.press(**sent))[0]


async def test_an_unknown_group_is_not_there(session: aiohttp.ClientSession, sim: RunningSimulator) -> None:
    """An address that was kept from an earlier run."""
    async with session.get(f"{sim.control_url}/_sim/page?chat_id=oc_unknown") as response:
        assert 404 == response.status


def test_what_people_and_programs_write_is_text() -> None:
    """No card puts anything but text on the page."""
    evil = '"><script>alert(1)</script>'
    button = {"tag": "button", "name": evil, "text": {"tag": "plain_text", "content": evil}, "value": {"x": evil}}
    entry = {"tag": "input", "name": evil, "default_value": evil}
    choice = {"tag": "select_static", "name": evil, "options": [{"value": evil, "text": {"content": evil}}]}
    form = {"tag": "form", "elements": [button, entry, choice]}
    content = {
        "header": {"title": {"content": evil}},
        "elements": [{"tag": "markdown", "content": evil}, button, entry, choice, form],
    }
    assert "<script" not in drawn(content)
    assert 2 == len([each for each in actions(drawn(content)) if each["tag"] == "button"])


@pytest.mark.parametrize(
    ("button", "address"),
    [
        ({"url": "https://example.com/a?b=1&c=2"}, "https://example.com/a?b=1&amp;c=2"),
        ({"behaviors": [{"type": "open_url", "default_url": "http://example.com"}]}, "http://example.com"),
        ({"url": "javascript:alert(1)"}, None),
        ({"behaviors": [{"type": "callback", "value": 1}, {"type": "open_url", "default_url": "http://a"}]}, None),
    ],
)
def test_a_button_that_only_opens_an_address_is_a_link(button: dict[str, Any], address: str | None) -> None:
    """Any other is pressed."""
    found = re.findall(r'<a href="([^"]*)"', drawn({"elements": [{"tag": "button", **button}]}))
    assert [address] == (found or [None])


def test_cards_of_every_kind_are_drawn() -> None:
    """Columns, texts beside texts, another language and a template."""
    column = {"tag": "column", "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": "左"}}]}
    assert "左" in drawn(card_2_0() | {"body": {"elements": [{"tag": "column_set", "columns": [column]}]}})
    assert "正文" in drawn({"i18n_elements": {"en_us": [], "zh_cn": [{"tag": "markdown", "content": "正文"}]}})
    assert "<hr>" in drawn({"elements": [{"tag": "hr"}, "no element", {"tag": "unknown", "elements": 7}]})
    assert "AAq1" in drawn({"type": "template", "data": {"template_id": "AAq1"}})


def test_what_was_filled_in_is_reported_as_the_platform_does() -> None:
    """A form's fields by their names, a single choice and a single input by their own members."""
    action = json.dumps({"tag": "button", "name": "send"})
    filled = action_of({"action": action, "field.note": "好", "field.": "", "as": ALICE})
    assert {"tag": "button", "name": "send", "form_value": {"note": "好", "": ""}} == filled
    assert {"tag": "button", "name": "send", "option": "1"} == action_of({"action": action, "option": "1"})


def test_a_card_that_is_nested_too_deeply_is_refused(sim: RunningSimulator) -> None:
    """Nothing that reads cards here runs out of stack."""
    inner: Any = {"tag": "hr"}
    for _ in range(200):
        inner = {"tag": "form", "elements": [inner]}
    chat = sim.platform.new_chat("x").chat_id
    for content in ({"elements": [inner]}, {"schema": "2.0", "body": {"elements": [inner]}}):
        with pytest.raises(Refused, match="nested too deeply"):
            sim.put_card(chat, content)
