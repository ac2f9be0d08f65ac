"""A worker that has no way out but a proxy, as an operator starts it: a process, TLS, an authority of the house."""

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
from tests.support.commands import environment, started
from tests.support.proxy import outbound_proxy
from tests.support.tls import Authority, Certificate
from tests.unit.worker.scripted_platform import ScriptedPlatform, grant, ok

pytestmark = pytest.mark.slow

HOST = "open.feishu.cn"
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
        (tmp_path / "proxy").write_text(f"{scheme}://{CREDENTIALS}@localhost:{proxy.port}\n")
        env = {**environment(tmp_path), "CARDWIRE_PROXY_FILE": str(tmp_path / "proxy"), "CARDWIRE_LOG_LEVEL": "debug"}
        await _record(env["CARDWIRE_LOG"])
        with started("worker", env={**env, "SSL_CERT_FILE": str(authority.certificate)}, cwd=tmp_path) as worker:
            await platform.script.until(lambda: len(platform.script.calls) == 1)
            assert 0 == await asyncio.to_thread(worker.stop)
            logged = worker.out.read_text() + worker.err.read_text()
    call = platform.script.calls[0]
    assert ("PUT", "t-1", {"name": "跟进中"}) == (call.method, call.token, call.body)
    assert {f"{HOST}:443"} == set(proxy.tunnels)
    assert [] == [hidden for hidden in ("planted", "YWRhOnBsYW50ZWQ=", "secret-of-the-app") if hidden in logged]


def _server(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


class _Platform:
    def __init__(self, script: ScriptedPlatform, address: tuple[str, int]) -> None:
        self.script, self.address = script, address


@asynccontextmanager
async def _over_tls(context: ssl.SSLContext) -> AsyncIterator[_Platform]:
    script = ScriptedPlatform(answers=(ok(),), tokens=(grant("t-1"),))
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
