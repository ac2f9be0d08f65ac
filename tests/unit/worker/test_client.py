"""The HTTP client, against real sockets: deadlines, tokens, and what it makes of bad manners."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import structlog.testing
from aiohttp import web

from shared.clock import ManualClock
from shared.core.ids import AppId, ChatId, MessageId, TenantKey
from shared.core.json_text import JsonText
from shared.core.secret import Secret
from shared.feishu.openapi import ApiReply, get_message, rename_chat, send_text, update_card
from shared.settings import PlatformSettings
from tests.unit.worker.scripted_platform import (
    Answer,
    ScriptedPlatform,
    endless,
    grant,
    hang_up,
    hang_up_midway,
    ok,
    raw,
    refuse,
    reply,
    scripted,
    silence,
)
from worker.platform.client import HttpPlatform, Unauthorized, Unreachable
from worker.settings import WorkerSettings

APP, TENANT = AppId("cli_1"), TenantKey("tenant_1")
RENAME = rename_chat(ChatId("oc_1"), "跟进中")
HALF_HOUR_S = 1800


def apps(domain: str) -> dict[AppId, PlatformSettings]:
    """Return one app, whose platform is there."""
    return {APP: PlatformSettings(app_secret=Secret("s-secret"), domain=domain)}


@asynccontextmanager
async def client_of(
    platform: ScriptedPlatform, *, clock: ManualClock | None = None, deadline_s: float = 5.0
) -> AsyncIterator[HttpPlatform]:
    """Return a client of this platform."""
    async with HttpPlatform(apps(platform.url), clock=clock or ManualClock(), deadline_s=deadline_s) as client:
        yield client


async def call(client: HttpPlatform, tenant: str = TENANT) -> ApiReply:
    """Make some call."""
    return await client.call(APP, TenantKey(tenant), RENAME)


async def failing(client: HttpPlatform) -> Unreachable:
    """Make some call that comes to nothing."""
    with pytest.raises(Unreachable) as raised:
        await call(client)
    return raised.value


async def test_a_call_carries_method_path_body_and_token() -> None:
    """What the platform sees is what was asked for."""
    async with scripted() as platform, client_of(platform) as client:
        await client.call(APP, TENANT, send_text("ou_1", "done", uuid="u1"))
        sent, token = platform.calls[0], platform.token_calls[0]
    assert ("POST", "/open-apis/im/v1/messages?receive_id_type=open_id", "t-1") == (sent.method, sent.path, sent.token)
    assert {"receive_id": "ou_1", "msg_type": "text", "content": '{"text":"done"}', "uuid": "u1"} == sent.body
    assert ("POST", None, {"app_id": APP, "app_secret": "s-secret"}) == (token.method, token.token, token.body)


async def test_an_id_cannot_become_another_address() -> None:
    """Ids come from callbacks; one made of dots and slashes stays one path segment."""
    async with scripted() as platform, client_of(platform) as client:
        await client.call(APP, TENANT, get_message(MessageId("../../x?y=1#z")))
    assert platform.calls[0].path == "/open-apis/im/v1/messages/%2E%2E%2F%2E%2E%2Fx%3Fy%3D1%23z"


async def test_a_reply_is_handed_over_whatever_its_status() -> None:
    """Status, headers in lower case, and body."""
    async with scripted(refuse(230031, headers={"X-Tt-Logid": "log-1"})) as platform, client_of(platform) as client:
        got = await call(client)
    assert (400, "log-1") == (got.status, got.headers["x-tt-logid"])
    assert b'"code": 230031' in got.body


async def test_many_calls_at_once_ask_for_one_token() -> None:
    """Whoever comes while it is being asked for waits for the same answer."""
    async with scripted() as platform, client_of(platform) as client:
        await asyncio.gather(*(call(client) for _ in range(20)))
    assert (20, 1) == (len(platform.calls), len(platform.token_calls))


async def test_each_tenant_has_its_own_token() -> None:
    """A token is worth nothing in another tenant."""
    async with scripted(tokens=[grant("t-1"), grant("t-2")]) as platform, client_of(platform) as client:
        for tenant in ("a", "b", "a"):
            await call(client, tenant)
    assert ["t-1", "t-2", "t-1"] == [sent.token for sent in platform.calls]


async def test_a_token_is_renewed_when_half_an_hour_is_left() -> None:
    """Not before, since the platform would return the same; and no call waits for it, since the old one lives on."""
    clock = ManualClock()
    async with scripted(tokens=[grant("t-1"), grant("t-2")]) as platform, client_of(platform, clock=clock) as client:
        await call(client)
        clock.advance(7200 - HALF_HOUR_S - 1)
        await call(client)
        assert 1 == len(platform.token_calls)
        clock.advance(1)
        await call(client)
        await platform.until(lambda: len(platform.token_calls) == 2)
        await _until_token(client, platform, "t-2")
    assert ["t-1", "t-1", "t-1"] == [sent.token for sent in platform.calls[:3]]
    assert 2 == len(platform.token_calls)


async def test_a_token_that_is_dead_is_waited_for() -> None:
    """After a quiet night the first call asks for a new one."""
    clock = ManualClock()
    async with scripted(tokens=[grant("t-1"), grant("t-2")]) as platform, client_of(platform, clock=clock) as client:
        await call(client)
        clock.advance(7200)
        await call(client)
    assert ["t-1", "t-2"] == [sent.token for sent in platform.calls]


async def test_a_failed_renewal_leaves_the_old_token_in_use() -> None:
    """And the platform is not asked again before every call."""
    clock = ManualClock()
    async with (
        scripted(tokens=[grant("t-1"), refuse(5000, status=500)]) as platform,
        client_of(platform, clock=clock) as client,
    ):
        await call(client)
        clock.advance(7200 - HALF_HOUR_S)
        for _ in range(5):
            await call(client)
        assert 2 == len(platform.token_calls)
        clock.advance(30)
        await call(client)
        await call(client)
    assert {"t-1"} == {sent.token for sent in platform.calls}
    assert 3 == len(platform.token_calls)


async def test_a_short_lived_token_is_not_asked_for_before_every_call() -> None:
    """A life below half an hour is used to its half."""
    async with scripted(tokens=[grant("t-1", expire=600)]) as platform, client_of(platform) as client:
        for _ in range(3):
            await call(client)
    assert 1 == len(platform.token_calls)


async def test_a_refused_token_is_replaced_and_the_call_repeated_once() -> None:
    """The platform may forget a token before its time."""
    async with (
        scripted(refuse(99991663), ok(), tokens=[grant("t-1"), grant("t-2")]) as platform,
        client_of(platform) as client,
    ):
        got = await call(client)
    assert 200 == got.status
    assert ["t-1", "t-2"] == [sent.token for sent in platform.calls]


async def test_a_token_that_is_refused_again_is_not_tried_a_third_time() -> None:
    """The second refusal is the answer."""
    async with scripted(refuse(99991663)) as platform, client_of(platform) as client:
        got = await call(client)
    assert (400, 2, 2) == (got.status, len(platform.calls), len(platform.token_calls))


async def test_calls_refused_together_ask_for_one_new_token() -> None:
    """Each repeats its own call, none asks the platform for what another is asking."""
    answers = [refuse(99991663)] * 10 + [ok()]
    async with (
        scripted(*answers, tokens=[grant("t-1"), grant("t-2")]) as platform,
        client_of(platform) as client,
    ):
        await asyncio.gather(*(call(client) for _ in range(10)))
    assert (20, 2) == (len(platform.calls), len(platform.token_calls))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (refuse(10014, status=200), "configuration"),
        (refuse(99991543), "configuration"),
        (refuse(99991663), "configuration"),
        (refuse(99991400, status=429), "rate_limit"),
        (refuse(5000, status=500), "retry"),
        (raw(b"<html>Bad Gateway</html>", status=502), "retry"),
        (raw(b'{"code":0,"tenant_acc'), "retry"),
        (reply({"code": 0, "msg": "ok"}), "retry"),
        (reply({"code": 0, "tenant_access_token": 7, "expire": "x"}), "retry"),
        (reply({"code": 0, "tenant_access_token": "t-1\r\nX: y", "expire": 7200}), "retry"),
        (reply([1, 2]), "retry"),
    ],
)
async def test_without_a_token_nothing_is_called_and_the_verdict_says_who_must_act(
    answer: Answer, verdict: str
) -> None:
    """An operator, or nobody but time."""
    async with scripted(tokens=[answer]) as platform, client_of(platform) as client:
        with pytest.raises(Unauthorized) as raised:
            await call(client)
    assert (verdict, []) == (raised.value.error.verdict, platform.calls)


async def test_a_failure_to_get_a_token_is_not_remembered() -> None:
    """The next call asks again."""
    async with scripted(tokens=[refuse(10014), grant("t-1")]) as platform, client_of(platform) as client:
        with pytest.raises(Unauthorized):
            await call(client)
        assert 200 == (await call(client)).status


async def test_an_app_without_a_secret_is_a_matter_of_configuration() -> None:
    """Nobody is asked."""
    async with scripted() as platform, client_of(platform) as client:
        with pytest.raises(Unauthorized) as raised:
            await client.call(AppId("cli_other"), TENANT, RENAME)
    assert ("configuration", []) == (raised.value.error.verdict, platform.token_calls)


async def test_a_token_that_does_not_come_means_that_nothing_was_sent() -> None:
    """Whatever the token request itself did."""
    async with scripted(tokens=[hang_up]) as platform, client_of(platform) as client:
        assert not (await failing(client)).sent
    async with scripted(tokens=[silence]) as platform, client_of(platform, deadline_s=0.1) as client:
        assert not (await failing(client)).sent


async def test_no_connection_means_that_nothing_was_sent() -> None:
    """With a token in hand and nobody there."""
    async with AsyncExitStack() as life:
        platform = await life.enter_async_context(scripted(ok(headers={"Connection": "close"})))
        async with client_of(platform) as client:
            await call(client)
            await life.aclose()
            assert not (await failing(client)).sent


async def test_a_connection_that_cannot_be_made_in_time_means_that_nothing_was_sent() -> None:
    """Somebody accepts, and never shakes hands."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with HttpPlatform(apps(url), clock=ManualClock(), connect_s=0.1) as client:
            assert not (await failing(client)).sent


@pytest.mark.parametrize("answer", [hang_up, hang_up_midway])
async def test_a_connection_lost_after_a_call_leaves_it_open_whether_it_was_performed(answer: Answer) -> None:
    """It had been sent; and it is not sent again behind the budget's back, on a fresh connection or a used one."""
    async with scripted(ok(), answer) as platform, client_of(platform) as client:
        await call(client)
        assert (await failing(client)).sent
    assert 2 == len(platform.calls)


async def test_a_call_ends_at_its_deadline() -> None:
    """And may have been performed."""
    async with scripted(silence) as platform, client_of(platform, deadline_s=0.2) as client:
        late = await failing(client)
    assert (True, "no answer within 0.2 s") == (late.sent, late.reason)


async def test_the_deadline_covers_a_token_that_was_refused() -> None:
    """The call had been refused; what then hangs is the token, so nothing has happened."""
    async with (
        scripted(refuse(99991663), tokens=[grant("t-1"), silence]) as platform,
        client_of(platform, deadline_s=0.2) as client,
    ):
        assert not (await failing(client)).sent


async def test_one_caller_who_gives_up_leaves_the_token_to_the_others() -> None:
    """A cancelled call does not cancel what others wait for."""
    gate = asyncio.Event()

    async def late_grant(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await grant("t-1")(request)

    async with scripted(tokens=[late_grant]) as platform, client_of(platform) as client:
        first, second = asyncio.create_task(call(client)), asyncio.create_task(call(client))
        await platform.until(lambda: len(platform.token_calls) == 1)
        first.cancel()
        gate.set()
        assert 200 == (await second).status
    assert first.cancelled()
    assert 1 == len(platform.token_calls)


async def test_an_endless_reply_is_read_to_a_bound_and_counts_as_none() -> None:
    """The status is known, the body is not, and that is told."""
    async with scripted(endless) as platform, client_of(platform) as client:
        got = await call(client)
    assert (200, b"", True) == (got.status, got.body, got.too_long)


async def test_a_redirect_is_not_followed() -> None:
    """The token is for one host."""
    async with (
        scripted(raw(b"", status=302, headers={"Location": "http://127.0.0.1:1/"})) as platform,
        client_of(platform) as client,
    ):
        assert 302 == (await call(client)).status


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 two hundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}",
    ],
)
async def test_an_answer_that_is_no_http_is_no_answer(answer: bytes) -> None:
    """Never a traceback."""

    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(garble, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with HttpPlatform(apps(url), clock=ManualClock()) as client:
            assert not (await failing(client)).sent


@pytest.mark.parametrize("answer", [hang_up, hang_up_midway, silence])
async def test_a_failure_shows_nothing_of_what_was_sent(answer: Answer) -> None:
    """No token, secret or body in the exception or in anything that it drags along."""
    card = JsonText('{"typed":"by a person"}')
    async with scripted(answer) as platform, client_of(platform, deadline_s=0.2) as client:
        with pytest.raises(Unreachable) as raised:
            await client.call(APP, TENANT, update_card(MessageId("om_1"), card))
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(raised.value.__context__)
    assert [] == [hidden for hidden in ("t-1", "s-secret", "by a person", "Authorization") if hidden in shown]


async def test_a_refused_secret_shows_nothing_of_itself() -> None:
    """Not even what the platform quotes of it."""
    async with scripted(tokens=[refuse(10014)]) as platform, client_of(platform) as client:
        with pytest.raises(Unauthorized) as raised:
            await call(client)
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(raised.value.__context__)
    assert [] == [hidden for hidden in ("t-1", "s-secret") if hidden in shown]


async def test_the_settings_name_platform_app_and_secret() -> None:
    """As a worker is configured, so it calls."""
    async with scripted() as platform:
        settings = WorkerSettings.load(
            {
                "LARK_APP_ID": APP,
                "LARK_APP_SECRET": "s-secret",
                "LARK_DOMAIN": platform.url,
                "CARDWIRE_APP": "handlers:app",
                "CARDWIRE_LOG": "sqlite:///log.db",
                "CARDWIRE_LEDGER": "sqlite:///ledger.db",
            }
        )
        async with HttpPlatform.of(settings, ManualClock()) as client:
            assert 200 == (await call(client)).status
    assert {"app_id": APP, "app_secret": "s-secret"} == platform.token_calls[0].body


async def test_each_app_has_a_platform_and_a_secret_of_its_own() -> None:
    """Both brands in one process."""
    other = AppId("cli_2")
    async with scripted() as feishu, scripted() as lark:
        told = {**apps(feishu.url), other: PlatformSettings(app_secret=Secret("s-other"), domain=lark.url)}
        async with HttpPlatform(told, clock=ManualClock()) as client:
            for app_id in (APP, other):
                assert 200 == (await client.call(app_id, TENANT, RENAME)).status
    bodies = [[call.body for call in platform.token_calls] for platform in (feishu, lark)]
    assert [[{"app_id": APP, "app_secret": "s-secret"}], [{"app_id": other, "app_secret": "s-other"}]] == bodies


async def test_an_app_that_nobody_told_of_gets_no_token_and_one_line_says_so() -> None:
    """It is the operator's to mend, and calls of other apps are made."""
    unknown = AppId("cli_unknown")
    async with scripted() as platform, client_of(platform) as client:
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                with pytest.raises(Unauthorized) as refused:
                    await client.call(unknown, TENANT, RENAME)
                assert "configuration" == refused.value.error.verdict
        assert 200 == (await call(client)).status
    (line,) = lines
    assert ("app_unknown", unknown) == (line["event"], line["app_id"])
    assert "CARDWIRE_APPS" in line["hint"]


async def test_a_secret_that_changed_is_used_for_the_next_token() -> None:
    """A token that was given counts as long as it lives; apps that are new, or gone, wait for the next start."""
    clock = ManualClock()
    async with scripted() as platform, client_of(platform, clock=clock) as client:
        await call(client)
        client.renew({APP: PlatformSettings(app_secret=Secret("s-next"), domain="http://127.0.0.1:1")})
        await call(client)
        assert ["s-secret"] == [asked.body["app_secret"] for asked in platform.token_calls]
        clock.advance(3 * HALF_HOUR_S * 10)
        client.renew({})
        await call(client)
        assert ["s-secret", "s-next"] == [asked.body["app_secret"] for asked in platform.token_calls]


async def test_a_client_that_was_never_opened_says_so() -> None:
    """It owns its connections for the time of a block."""
    with pytest.raises(RuntimeError, match="async with"):
        await call(HttpPlatform(apps("http://127.0.0.1:1"), clock=ManualClock()))


async def _until_token(client: HttpPlatform, platform: ScriptedPlatform, token: str) -> None:
    while platform.calls[-1].token != token:
        await call(client)
