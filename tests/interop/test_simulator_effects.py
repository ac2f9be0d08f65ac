"""The platform's official SDK as a client of CardKit, replies, previews and a store app's tokens, all unchanged."""

import asyncio
import importlib
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from shared.clock import ManualClock
from shared.core.ids import AppId, OpenId, TenantKey
from simulator.app import RunningSimulator, run_simulator
from simulator.callbacks import Person
from simulator.platform import AppTicket
from simulator.settings import SimulatorSettings
from tests.interop import sdk

# After our own module, which silences what its import would warn of.
assert sdk is not None
lark = importlib.import_module("lark_oapi")
im = importlib.import_module("lark_oapi.api.im.v1")
im_v2 = importlib.import_module("lark_oapi.api.im.v2")
cardkit = importlib.import_module("lark_oapi.api.cardkit.v1")
auth = importlib.import_module("lark_oapi.api.auth.v3")

pytestmark = [pytest.mark.interop, pytest.mark.slow]

CARD = {
    "schema": "2.0",
    "config": {"streaming_mode": True},
    "body": {"elements": [{"tag": "markdown", "element_id": "md_1", "content": "一"}]},
}
BUTTON = {"tag": "button", "element_id": "go", "text": {"tag": "plain_text", "content": "去"}}


def settings_of(request: pytest.FixtureRequest, *, is_store: bool) -> SimulatorSettings:
    """Return settings with an app of its own: the SDK caches tokens by app, for the whole process."""
    app_id = AppId(f"cli_{zlib.crc32(request.node.name.encode()):016x}")
    return SimulatorSettings(port=0, app_id=app_id, is_store=is_store, callback_urls=())


@pytest.fixture
async def sim(request: pytest.FixtureRequest) -> AsyncIterator[RunningSimulator]:
    """Run a simulator with an app of one's own."""
    async with run_simulator(settings_of(request, is_store=False), clock=ManualClock()) as running:
        yield running


@pytest.fixture
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RunningSimulator]:
    """Run a simulator with a store app."""
    async with run_simulator(settings_of(request, is_store=True), clock=ManualClock()) as running:
        yield running


def client_of(sim: RunningSimulator, app_type: str = "SELF") -> Any:
    """Return the SDK's client."""
    app = sim.platform.app
    builder = lark.Client.builder().app_id(app.app_id).app_secret(app.app_secret).domain(sim.url)
    return builder.app_type(getattr(lark.AppType, app_type)).build()


def asked(module: Any, name: str, body: dict[str, Any], **inside: str) -> Any:
    """Return a request of the SDK's: its body and what stands in its path and query, by its builders."""
    built = getattr(module, f"{name}RequestBody").builder()
    for key, value in body.items():
        built = getattr(built, key)(value)
    request = getattr(module, f"{name}Request").builder().request_body(built.build())
    for key, text in inside.items():
        request = getattr(request, key)(text)
    return request.build()


async def done(call: Callable[..., Any], *request: Any) -> Any:
    """Make a call of the SDK's, which blocks; return its answer, which must be a success."""
    answer = await asyncio.to_thread(call, *request)
    assert answer.success(), (answer.code, answer.msg)
    return answer


class Kit:
    """The SDK's client of one card entity."""

    def __init__(self, client: Any, card_id: str) -> None:
        self._kit = client.cardkit.v1
        self._card_id = card_id
        self._sequence = 0

    async def card(self, method: str, name: str, **body: Any) -> Any:
        """Call an API of cards."""
        return await self._call(self._kit.card, method, asked(cardkit, name, self._turn(body), card_id=self._card_id))

    async def element(self, method: str, name: str, element_id: str | None = None, **body: Any) -> Any:
        """Call an API of elements."""
        inside = {} if element_id is None else {"element_id": element_id}
        request = asked(cardkit, name, self._turn(body), card_id=self._card_id, **inside)
        return await self._call(self._kit.card_element, method, request)

    def _turn(self, body: dict[str, Any]) -> dict[str, Any]:
        self._sequence += 1
        return {"uuid": f"u-{self._sequence}", "sequence": self._sequence, **body}

    async def _call(self, group: Any, method: str, request: Any) -> Any:
        return await asyncio.to_thread(getattr(group, method), request)


async def sent_entity(sim: RunningSimulator, client: Any) -> tuple[Kit, str]:
    """Let the SDK create an entity and send it; return its client and the message id."""
    body = {"type": "card_json", "data": json.dumps(CARD)}
    card_id = (await done(client.cardkit.v1.card.create, asked(cardkit, "CreateCard", body))).data.card_id
    content = json.dumps({"type": "card", "data": {"card_id": card_id}})
    chat = sim.platform.new_chat("报警群")
    message = {"receive_id": chat.chat_id, "msg_type": "interactive", "content": content}
    sent = await done(client.im.v1.message.create, asked(im, "CreateMessage", message, receive_id_type="chat_id"))
    return Kit(client, card_id), sent.data.message_id


async def test_the_sdk_changes_an_entity_in_every_way(sim: RunningSimulator) -> None:
    """Eight operations, one after the other, each a version of the card."""
    kit, message_id = await sent_entity(sim, client_of(sim))
    actions = [{"action": "delete_elements", "params": {"element_ids": ["hr_1"]}}]
    answers = [
        await kit.element("content", "ContentCardElement", "md_1", content="一二"),
        await kit.element("create", "CreateCardElement", type="append", elements=json.dumps([BUTTON])),
        await kit.element("patch", "PatchCardElement", "go", partial_element='{"type":"primary"}'),
        await kit.element("update", "UpdateCardElement", "go", element='{"tag":"hr","element_id":"hr_1"}'),
        await kit.card("settings", "SettingsCard", settings='{"config":{"streaming_mode":false}}'),
        await kit.card("batch_update", "BatchUpdateCard", actions=json.dumps(actions)),
        await kit.element("delete", "DeleteCardElement", "md_1"),
        await kit.card("update", "UpdateCard", card=cardkit.Card({"type": "card_json", "data": json.dumps(CARD)})),
    ]
    assert [0] * 8 == [each.code for each in answers]
    message = sim.platform.message(message_id)
    assert ["sent", *["cardkit"] * 8] == [version.by for version in message.versions]
    assert message.card is not None
    assert CARD == json.loads(message.card.text)


async def test_the_sdk_reads_cardkits_refusals(sim: RunningSimulator) -> None:
    """A number that was there, and an element that is not."""
    kit, _ = await sent_entity(sim, client_of(sim))
    await kit.card("settings", "SettingsCard", settings="{}", sequence=9)
    late = await kit.card("settings", "SettingsCard", settings="{}", sequence=9)
    missing = await kit.element("delete", "DeleteCardElement", "nobody", sequence=10)
    assert [300317, 300314] == [late.code, missing.code]


async def test_the_sdk_learns_the_entity_of_a_message(sim: RunningSimulator) -> None:
    """A card that was sent as JSON has an id for CardKit too."""
    client = client_of(sim)
    message_id = sim.put_card(sim.platform.new_chat("报警群").chat_id, CARD)
    answer = await done(client.cardkit.v1.card.id_convert, asked(cardkit, "IdConvertCard", {"message_id": message_id}))
    assert answer.data.card_id in sim.platform.entities


async def test_the_sdk_replies_in_a_thread(sim: RunningSimulator) -> None:
    """The SDK finds root, parent and thread where it expects them."""
    root = sim.put_card(sim.platform.new_chat("报警群").chat_id, CARD)
    body = {"msg_type": "text", "content": '{"text":"收到"}', "reply_in_thread": True, "uuid": "u-1"}
    answer = await done(client_of(sim).im.v1.message.reply, asked(im, "ReplyMessage", body, message_id=root))
    assert (root, root, True) == (answer.data.root_id, answer.data.parent_id, bool(answer.data.thread_id))


async def test_the_sdk_changes_more_of_a_chat_than_its_name(sim: RunningSimulator) -> None:
    """What the SDK sends is what it reads back."""
    client, chat = client_of(sim), sim.platform.new_chat("报警群")
    body = {"description": "值班", "i18n_names": im.I18nNames({"en_us": "Alerts"})}
    await done(client.im.v1.chat.update, asked(im, "UpdateChat", body, chat_id=chat.chat_id))
    request = im.GetChatRequest.builder().chat_id(chat.chat_id).build()
    told = (await done(client.im.v1.chat.get, request)).data
    assert ("报警群", "值班", "Alerts", "member") == (told.name, told.description, told.i18n_names.en_us, chat.bot)


async def test_the_sdk_refreshes_a_preview(sim: RunningSimulator) -> None:
    """The link is asked for again for who saw it."""
    message = sim.platform.message(sim.put_card(sim.platform.new_chat("报警群").chat_id, CARD))
    preview = sim.platform.preview(message, "https://example.com")
    preview.pull(Person(open_id=OpenId("ou_1")))
    body = {"preview_tokens": [preview.token], "open_ids": ["ou_1"]}
    await done(client_of(sim).im.v2.url_preview.batch_update, asked(im_v2, "BatchUpdateUrlPreview", body))
    for _ in range(100):
        await asyncio.sleep(0.01)
        if preview.pulls == 2:
            break
    assert 2 == preview.pulls


async def test_the_sdk_sends_and_deletes_an_ephemeral_card(sim: RunningSimulator) -> None:
    """These old APIs have no method of their own in the SDK, so it calls them by their paths."""
    client, chat = client_of(sim), sim.platform.new_chat("报警群")

    async def call(path: str, body: dict[str, Any]) -> Any:
        request = lark.BaseRequest.builder().http_method(lark.HttpMethod.POST).uri(f"/open-apis/{path}").body(body)
        answer = await done(client.request, request.token_types({lark.AccessTokenType.TENANT}).build())
        return json.loads(answer.raw.content)

    sent = await call(
        "ephemeral/v1/send", {"chat_id": chat.chat_id, "open_id": "ou_1", "msg_type": "interactive", "card": CARD}
    )
    message = sim.platform.message(sent["data"]["message_id"])
    assert ["ou_1"] == list(message.views)
    await call("ephemeral/v1/delete", {"message_id": message.message_id})
    assert {} == message.views


async def test_the_sdk_calls_in_another_organisation(store: RunningSimulator) -> None:
    """A ticket, an app token, the organisation's token: the SDK goes all the way by itself, given the ticket."""
    client = client_of(store, "ISV")
    chat = store.platform.new_chat("海外群", tenant_key=TenantKey("t2"))
    body = {"app_id": store.platform.app.app_id, "app_secret": store.platform.app.app_secret}
    ticket = store.platform.access_tokens.new_ticket(now=store.platform.clock.now())
    await done(client.auth.v3.app_ticket.resend, asked(auth, "ResendAppTicket", body))
    option = lark.RequestOption.builder().app_ticket(ticket).tenant_key("t2").build()
    message = {"receive_id": chat.chat_id, "msg_type": "text", "content": '{"text":"hi"}'}
    request = asked(im, "CreateMessage", message, receive_id_type="chat_id")
    sent = await done(client.im.v1.message.create, request, option)
    assert (chat.chat_id, "t2") == (sent.data.chat_id, sent.data.sender.tenant_key)
    assert not any(isinstance(owed, AppTicket) for owed in store.platform.owed)
