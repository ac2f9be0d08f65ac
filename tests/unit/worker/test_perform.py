"""From an effect to what became of it, with the real client against a scripted platform."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.clock import ManualClock
from shared.core.effects import CallApi, PlatformEffect, RenameChat, SendCard, SendText, UpdateCard
from shared.core.ids import AppId, ChatId, EventId, MessageId, Target, TenantKey
from shared.core.secret import Secret
from shared.feishu.openapi import PlatformError, idempotency_key
from shared.settings import PlatformSettings
from tests.unit.worker.scripted_platform import (
    Answer,
    ScriptedPlatform,
    grant,
    hang_up,
    ok,
    raw,
    refuse,
    reply,
    scripted,
    silence,
)
from worker.ledger.leased import Head
from worker.performing.perform import find_chat, perform
from worker.performing.request import request_of
from worker.platform.client import HttpPlatform
from worker.platform.performed import Done, Found, NoToken, Rejected, Unreached, Unsure

APP, TENANT, EVENT = AppId("cli_1"), TenantKey("tenant_1"), EventId("e1")
OLD_CARD = '{"elements":[1e400],  "x":"\\ud800"}'
OLD_CARD_SENT = '{"elements":[1e400],"x":"\\ud800","config":{"update_multi":true}}'
NEW_CARD = '{"schema":"2.0","body":{}}'
SENT = {"message_id": "om_new", "chat_id": "oc_there", "create_time": "1750000000123"}
LOG_ID = {"X-Tt-Logid": "log-1"}


def _head(target: str) -> Head:
    return Head(
        app_id=APP,
        event_id=EVENT,
        index=2,
        tenant_key=TENANT,
        message_id=MessageId("om_1"),
        kind="any",
        target=Target(target),
        audience="*",
        coalesce=None,
        order=1026,
        due=0,
        occurred_at=0,
        received_at=0,
        decided_at=0,
        k=0,
        attempts=0,
        begun_at=None,
        marked_at=None,
    )


CARD, CHAT, PERSON = _head("message:om_1"), _head("chat:oc_1"), _head("user:ou_1")


@asynccontextmanager
async def client_of(platform: ScriptedPlatform, *, deadline_s: float = 5.0) -> AsyncIterator[HttpPlatform]:
    """Return a client of this platform."""
    async with HttpPlatform(
        {APP: PlatformSettings(app_secret=Secret("s"), domain=platform.url)}, clock=ManualClock(), deadline_s=deadline_s
    ) as client:
        yield client


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def test_an_update_replaces_the_card_of_its_message() -> None:
    """What is remembered as shown is the text that was sent, which says that the card is everybody's."""
    async with scripted(ok(headers=LOG_ID)) as platform, client_of(platform) as client:
        done = await perform(client, UpdateCard(OLD_CARD), CARD)
    call = platform.calls[0]
    assert ("PATCH", "/open-apis/im/v1/messages/om_1") == (call.method, call.path)
    assert json.loads(OLD_CARD_SENT) == json.loads(call.body["content"])
    assert Done(http_status=200, log_id="log-1", shown=_digest(call.body["content"]), card_format="1.0") == done


async def test_a_rename_changes_the_name_alone() -> None:
    """Of the chat given, else of the one that the effect's target is."""
    async with scripted() as platform, client_of(platform) as client:
        here = await perform(client, RenameChat("跟进中"), CHAT)
        there = await perform(client, RenameChat("跟进中", ChatId("oc_2")), _head("chat:oc_2"))
    assert [Done(http_status=200, chat_id=ChatId("oc_1")), Done(http_status=200, chat_id=ChatId("oc_2"))] == [
        here,
        there,
    ]
    assert [("PUT", "/open-apis/im/v1/chats/oc_1", {"name": "跟进中"}), ("PUT", "/open-apis/im/v1/chats/oc_2")] == [
        (platform.calls[0].method, platform.calls[0].path, platform.calls[0].body),
        (platform.calls[1].method, platform.calls[1].path),
    ]


async def test_a_sent_card_is_known_by_what_the_platform_made_of_it() -> None:
    """Its message, its chat, and the platform's own time, which its validity counts from."""
    async with scripted(ok(SENT)) as platform, client_of(platform) as client:
        done = await perform(client, SendCard(NEW_CARD), CHAT)
    assert (
        Done(
            http_status=200,
            sent_message_id=MessageId("om_new"),
            sent_at=1_750_000_000_123,
            chat_id=ChatId("oc_there"),
            card_format="2.0",
        )
        == done
    )
    assert {
        "receive_id": "oc_1",
        "msg_type": "interactive",
        "content": NEW_CARD,
        "uuid": idempotency_key(APP, EVENT, 2),
    } == platform.calls[0].body


async def test_a_text_goes_to_whom_it_is_addressed() -> None:
    """The receiver that was given wins over the chat."""
    async with scripted(ok(SENT)) as platform, client_of(platform) as client:
        done = await perform(client, SendText("完成", "ou_1"), PERSON)
    assert ("ou_1", '{"text":"完成"}') == (platform.calls[0].body["receive_id"], platform.calls[0].body["content"])
    assert platform.calls[0].path.endswith("?receive_id_type=open_id")
    assert isinstance(done, Done)
    assert done.card_format is None


async def test_every_attempt_of_a_send_carries_the_same_key() -> None:
    """And another effect another one, so that the platform can tell a repetition from a second message."""
    async with scripted(ok(SENT)) as platform, client_of(platform) as client:
        for effect in (SendText("a"), SendText("a"), SendCard(NEW_CARD)):
            await perform(client, effect, CHAT)
    assert {idempotency_key(APP, EVENT, 2)} == {call.body["uuid"] for call in platform.calls}
    assert idempotency_key(APP, EVENT, 2) != idempotency_key(APP, EVENT, 3)


@pytest.mark.parametrize("data", [{}, {"message_id": 7, "create_time": "soon", "chat_id": []}])
async def test_a_success_that_names_no_message_is_a_success(data: dict[str, object]) -> None:
    """The message is there; only its age stays unknown."""
    async with scripted(ok(data)) as platform, client_of(platform) as client:
        done = await perform(client, SendCard(NEW_CARD), CHAT)
    assert Done(http_status=200, chat_id=ChatId("oc_1"), card_format="2.0") == done


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refuse(230031), PlatformError(code=230031, http_status=400, verdict="target_final")),
        (refuse(99991672), PlatformError(code=99991672, http_status=400, verdict="configuration")),
        (refuse(123456789), PlatformError(code=123456789, http_status=400, verdict="target_final")),
        (refuse(230020), PlatformError(code=230020, http_status=400, verdict="rate_limit")),
        (
            refuse(99991400, status=429, headers={"x-ogw-ratelimit-reset": "3"}),
            PlatformError(code=99991400, http_status=429, verdict="rate_limit", retry_after_ms=3000),
        ),
        (
            refuse(99991400, status=400, headers={"X-Ogw-Ratelimit-Reset": "1.5", **LOG_ID}),
            PlatformError(code=99991400, http_status=400, verdict="rate_limit", retry_after_ms=1500, log_id="log-1"),
        ),
        (raw(b"slow down", status=429), PlatformError(code=None, http_status=429, verdict="rate_limit")),
        (raw(b"<html>", status=403), PlatformError(code=None, http_status=403, verdict="configuration")),
    ],
)
async def test_a_refusal_says_what_follows_from_it(answer: Answer, error: PlatformError) -> None:
    """Nothing happened, and the verdict is the table's."""
    async with scripted(answer) as platform, client_of(platform) as client:
        assert Rejected(error=error) == await perform(client, UpdateCard(NEW_CARD), CARD)


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        (refuse(2200, status=500), 2200, 500),
        (refuse(230049), 230049, 400),
        (raw(b"<html><h1>502 Bad Gateway</h1></html>", status=502), None, 502),
        (raw(b"<html>Welcome to the hotel</html>"), None, 200),
        (raw(b'{"code":0,"data":{"mess'), None, 200),
        (raw(b""), None, 200),
        (reply([]), None, 200),
        (reply({"code": "0"}), None, 200),
        (reply({"data": {}}), None, 200),
    ],
)
@pytest.mark.parametrize("effect", [UpdateCard(NEW_CARD), SendText("a")])
async def test_an_answer_that_settles_nothing_leaves_it_open(
    answer: Answer, code: int | None, status: int, effect: PlatformEffect
) -> None:
    """An internal error, a page of some proxy's, half of an answer: it may have happened."""
    head = CARD if isinstance(effect, UpdateCard) else CHAT
    async with scripted(answer) as platform, client_of(platform) as client:
        unsure = Unsure(error=PlatformError(code=code, http_status=status, verdict="retry"))
        assert unsure == await perform(client, effect, head)


@pytest.mark.parametrize(
    ("answer", "reason"), [(hang_up, "ServerDisconnectedError"), (silence, "no answer within 0.2 s")]
)
async def test_a_call_without_an_answer_leaves_it_open(answer: Answer, reason: str) -> None:
    """It had been sent."""
    async with scripted(answer) as platform, client_of(platform, deadline_s=0.2) as client:
        assert Unsure(reason=reason) == await perform(client, UpdateCard(NEW_CARD), CARD)


async def test_a_platform_that_cannot_be_reached_has_done_nothing() -> None:
    """Nobody listens there."""
    async with scripted() as platform:
        pass
    async with client_of(platform) as client:
        assert Unreached(reason="ClientConnectorError") == await perform(client, UpdateCard(NEW_CARD), CARD)


async def test_a_token_that_we_cannot_get_is_about_the_app() -> None:
    """A wrong secret."""
    error = PlatformError(code=10014, http_status=400, verdict="configuration")
    async with scripted(tokens=[refuse(10014)]) as platform, client_of(platform) as client:
        assert NoToken(error=error) == await perform(client, UpdateCard(NEW_CARD), CARD)


async def test_a_token_that_the_platform_never_takes_is_about_the_app() -> None:
    """Fresh ones included."""
    error = PlatformError(code=99991663, http_status=400, verdict="refresh_token")
    async with (
        scripted(refuse(99991663), tokens=[grant("t-1"), grant("t-2")]) as platform,
        client_of(platform) as client,
    ):
        assert NoToken(error=error, refused=True) == await perform(client, UpdateCard(NEW_CARD), CARD)
    assert ["t-1", "t-2"] == [call.token for call in platform.calls]


async def test_a_token_that_is_refused_for_any_call_is_about_that_call() -> None:
    """It may be one that wants a token of another kind, which the platform says in the same words."""
    error = PlatformError(code=99991663, http_status=400, verdict="refresh_token")
    async with scripted(refuse(99991663)) as platform, client_of(platform) as client:
        refused = await perform(client, CallApi("GET", "/open-apis/authen/v1/user_info"), CARD)
    assert NoToken(error=error, refused=True, of_app=False) == refused


async def test_the_chat_of_a_card_is_asked_for() -> None:
    """By reading the message."""
    items = {"items": [{"message_id": "om_1", "chat_id": "oc_1"}]}
    async with scripted(ok(items)) as platform, client_of(platform) as client:
        assert Found(chat_id=ChatId("oc_1")) == await find_chat(client, APP, TENANT, MessageId("om_1"))
    assert ("GET", "/open-apis/im/v1/messages/om_1") == (platform.calls[0].method, platform.calls[0].path)


@pytest.mark.parametrize("data", [{}, {"items": []}, {"items": "none"}, {"items": [{"chat_id": ""}]}])
async def test_a_message_that_names_no_chat_has_none(data: dict[str, object]) -> None:
    """Recalled, or not ours to see."""
    async with scripted(ok(data)) as platform, client_of(platform) as client:
        assert Found(chat_id=None) == await find_chat(client, APP, TENANT, MessageId("om_1"))


async def test_a_message_that_we_may_not_read_is_a_refusal() -> None:
    """As for any call."""
    async with scripted(refuse(230110)) as platform, client_of(platform) as client:
        error = PlatformError(code=230110, http_status=400, verdict="target_final")
        assert Rejected(error=error) == await find_chat(client, APP, TENANT, MessageId("om_1"))


@pytest.mark.parametrize(
    ("effect", "head", "api"),
    [
        (UpdateCard(NEW_CARD), CARD, "im.v1.message.patch"),
        (RenameChat("n"), CHAT, "im.v1.chat.update"),
        (SendCard(NEW_CARD), CHAT, "im.v1.message.create"),
        (SendText("a"), CHAT, "im.v1.message.create"),
    ],
)
def test_every_effect_names_the_budget_of_its_call(effect: PlatformEffect, head: Head, api: str) -> None:
    """Cards and texts are sent by the same API and share one."""
    assert api == request_of(effect, head).api


@pytest.mark.parametrize(
    ("effect", "head"), [(RenameChat("n"), CARD), (SendText("a"), PERSON), (UpdateCard(NEW_CARD), CHAT)]
)
def test_an_effect_whose_target_was_not_settled_is_our_own_mistake(effect: PlatformEffect, head: Head) -> None:
    """The policy comes first; nothing is guessed."""
    with pytest.raises(ValueError, match="any of e1/2"):
        request_of(effect, head)
