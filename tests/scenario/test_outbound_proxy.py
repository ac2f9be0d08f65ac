"""Processes that have no way out but a proxy, as an operator starts them: with TLS and an authority of the house."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from shared.core.codec import encode
from shared.core.events import Action, InteractionReceived, Operator
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import JsonText
from shared.eventlog.open import open_log
from shared.eventlog.port import NewRecord, Topics
from tests.support import ServiceMissing
from tests.support.commands import PATIENCE_S, environment, started
from tests.support.proxy import outbound_proxy
from tests.support.tls import Authority, Certificate
from tests.unit.worker.scripted_platform import Answer, ScriptedPlatform, grant, ok, reply

pytestmark = pytest.mark.slow

HOST = "open.feishu.cn"
FRONTIER = "msg-frontier.feishu.cn"
ADDRESS = f"wss://{FRONTIER}/ws/v2?device_id=1&service_id=2"
CREDENTIALS = "ada:planted"
CLICK = InteractionReceived(
    event_id=EventId("e1"),
    kind="card_action",
    app_id=AppId("cli_test"),
    tenant_key=TenantKey("t1"),
    operator=Operator(open_id=OpenId("ou_ada")),
    message_id=MessageId("om_1"),
    chat_id=ChatId("oc_1"),
    action=Action(tag="button", value=JsonText('{"action":"follow_up"}')),
    occurred_at=1_750_000_000_000,
    received_at=1_750_000_000_000,
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who signs certificates here, and is trusted by nobody else."""
    try:
        return Authority(tmp_path)
    except ServiceMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_worker_reaches_the_platform_by_the_proxy_alone(
    scheme: str, authority: Authority, tmp_path: Path
) -> None:
    """Only the proxy knows where the platform is; what it saw is one host, what was logged no password."""
    tls = _server(authority.issue("localhost")) if scheme == "https" else None
    async with (
        _over_tls(_server(authority.issue(HOST))) as platform,
        outbound_proxy({f"{HOST}:443": platform.address}, credentials=CREDENTIALS, tls=tls) as proxy,
    ):
        env = _environment(tmp_path, authority, proxy=f"{scheme}://{CREDENTIALS}@localhost:{proxy.port}")
        await _record(env["CARDWIRE_LOG"])
        with started("worker", env=env, cwd=tmp_path) as worker:
            await platform.script.until(lambda: len(platform.script.calls) == 1)
            assert 0 == await asyncio.to_thread(worker.stop)
            logged = worker.out.read_text() + worker.err.read_text()
    call = platform.script.calls[0]
    assert ("PUT", "t-1", {"name": "跟进中"}) == (call.method, call.token, call.body)
    assert {f"{HOST}:443"} == set(proxy.tunnels)
    assert [] == _shown(logged)


async def test_a_gateway_opens_its_long_connection_by_the_proxy_alone(authority: Authority, tmp_path: Path) -> None:
    """Both parts of it: the platform is asked for an address, which the proxy alone can reach, too."""
    opened = asyncio.Event()

    async def connection(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        opened.set()
        async for _ in socket:
            pass
        return socket

    async with (
        _over_tls(_server(authority.issue(HOST)), reply({"code": 0, "data": {"URL": ADDRESS}})) as platform,
        _over_tls(_server(authority.issue(FRONTIER)), connection) as frontier,
        outbound_proxy(
            {f"{HOST}:443": platform.address, f"{FRONTIER}:443": frontier.address}, credentials=CREDENTIALS
        ) as proxy,
    ):
        env = _environment(tmp_path, authority, proxy=f"http://{CREDENTIALS}@localhost:{proxy.port}")
        with started("gateway", env={**env, "LARK_DELIVERY": "websocket"}, cwd=tmp_path) as gateway:
            await asyncio.wait_for(opened.wait(), PATIENCE_S)
            assert 0 == await asyncio.to_thread(gateway.stop)
            logged = gateway.out.read_text() + gateway.err.read_text()
    assert [f"{HOST}:443", f"{FRONTIER}:443"] == proxy.tunnels
    assert [] == _shown(logged)


def _environment(folder: Path, authority: Authority, *, proxy: str) -> dict[str, str]:
    (folder / "proxy").write_text(f"{proxy}\n")
    return {
        **environment(folder),
        "CARDWIRE_PROXY_FILE": str(folder / "proxy"),
        "CARDWIRE_LOG_LEVEL": "debug",
        "SSL_CERT_FILE": str(authority.certificate),
    }


def _shown(logged: str) -> list[str]:
    return [hidden for hidden in ("planted", "YWRhOnBsYW50ZWQ=", "secret-of-the-app") if hidden in logged]


def _server(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


class _Platform:
    def __init__(self, script: ScriptedPlatform, address: tuple[str, int]) -> None:
        self.script, self.address = script, address


@asynccontextmanager
async def _over_tls(context: ssl.SSLContext, *answers: Answer) -> AsyncIterator[_Platform]:
    script = ScriptedPlatform(answers=answers or (ok(),), tokens=(grant("t-1"),))
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", script.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield _Platform(script, runner.addresses[0])
    finally:
        await runner.cleanup()


async def _record(url: str) -> None:
    event_log = open_log(url, topics=Topics())
    try:
        await event_log.create([Topics().interactions, Topics().outcomes, Topics().dead])
        await event_log.append([NewRecord.of(Topics().interactions, encode(CLICK))])
    finally:
        await event_log.close()
