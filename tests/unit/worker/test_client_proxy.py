"""The HTTP client behind a proxy, against real sockets: what it makes of one that will not or cannot."""

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from shared.clock import ManualClock
from shared.core.errors import CardwireError
from shared.core.ids import AppId, ChatId, TenantKey
from shared.core.secret import Secret
from shared.feishu.openapi import rename_chat
from shared.settings import PlatformSettings
from tests.support.proxy import Address, OutboundProxy, outbound_proxy, said
from tests.unit.worker.scripted_platform import ScriptedPlatform, scripted
from worker.platform.client import HttpPlatform, Unauthorized, Unreachable

APP, TENANT = AppId("cli_1"), TenantKey("tenant_1")
RENAME = rename_chat(ChatId("oc_1"), "跟进中")
PLAIN, TLS = "http://open.feishu.test", "https://open.feishu.test"
CREDENTIALS = "ada:planted"


def _address(platform: ScriptedPlatform) -> Address:
    return "127.0.0.1", int(platform.url.rpartition(":")[2])


def apps(domain: str) -> dict[AppId, PlatformSettings]:
    """Return one app, whose platform is there."""
    return {APP: PlatformSettings(app_secret=Secret("s-secret"), domain=domain)}


@asynccontextmanager
async def _client(url: str, port: int, credentials: str | None = CREDENTIALS) -> AsyncIterator[HttpPlatform]:
    user = "" if credentials is None else f"{credentials}@"
    proxy = Secret(f"http://{user}127.0.0.1:{port}")
    async with HttpPlatform(apps(url), clock=ManualClock(), proxy=proxy, connect_s=0.3) as client:
        yield client


async def _failing(client: HttpPlatform) -> Unreachable:
    failure = await _failure(client)
    assert isinstance(failure, Unreachable)
    return failure


async def _failure(client: HttpPlatform) -> CardwireError:
    with pytest.raises((Unreachable, Unauthorized)) as raised:
        await client.call(APP, TENANT, RENAME)
    return raised.value


async def test_a_plain_address_is_called_through_the_proxy() -> None:
    """By its whole address and a name that only the proxy knows; the platform does not see the credentials."""
    async with (
        scripted() as platform,
        outbound_proxy({"open.feishu.test:80": _address(platform)}, credentials=CREDENTIALS) as proxy,
        _client(PLAIN, proxy.port) as client,
    ):
        assert 200 == (await client.call(APP, TENANT, RENAME)).status
    assert [
        f"POST {PLAIN}/open-apis/auth/v3/tenant_access_token/internal",
        f"PUT {PLAIN}/open-apis/im/v1/chats/oc_1",
    ] == [line.partition("?")[0] for line in proxy.requests]
    assert 1 == len(platform.calls)


async def test_this_machine_itself_is_called_without_the_proxy() -> None:
    """A simulator beside the worker."""
    async with scripted() as platform, outbound_proxy({}) as proxy, _client(platform.url, proxy.port) as client:
        assert 200 == (await client.call(APP, TENANT, RENAME)).status
    assert [] == proxy.requests + proxy.tunnels


@pytest.mark.parametrize("url", [PLAIN, TLS])
@pytest.mark.parametrize("credentials", [None, "ada:other"])
async def test_wrong_credentials_are_a_refusal_of_the_proxy(url: str, credentials: str | None) -> None:
    """Nothing reached the platform, so nothing was performed."""
    async with (
        outbound_proxy({}, credentials=CREDENTIALS) as proxy,
        _client(url, proxy.port, credentials) as client,
    ):
        failure = await _failing(client)
    assert ("proxy refused: 407", False) == (failure.reason, failure.sent)


@pytest.mark.parametrize("status", [302, 403, 502, 503])
async def test_a_tunnel_that_is_refused_names_the_status(status: int) -> None:
    """As little as a refused connection, with a word for whoever runs the proxy."""
    async with outbound_proxy({}, answer=said(status)) as proxy, _client(TLS, proxy.port) as client:
        failure = await _failing(client)
    assert (f"proxy refused: {status}", False) == (failure.reason, failure.sent)


async def test_a_host_that_the_proxy_cannot_reach_is_its_refusal() -> None:
    """The platform's name was never looked up here."""
    async with outbound_proxy({}, credentials=CREDENTIALS) as proxy, _client(TLS, proxy.port) as client:
        assert "proxy refused: 502" == (await _failing(client)).reason


async def test_a_proxy_that_is_away_is_named() -> None:
    """So that nobody looks for the fault at the platform."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (PLAIN, TLS):
        async with _client(url, port) as client:
            failure = await _failing(client)
        assert ("proxy unreachable: ConnectionRefusedError", False) == (failure.reason, failure.sent)


async def test_a_proxy_without_an_address_is_named() -> None:
    """Its name is not one."""
    async with HttpPlatform(
        apps(TLS), clock=ManualClock(), proxy=Secret("http://ada:planted@proxy.invalid:1")
    ) as client:
        failure = await _failing(client)
    assert ("proxy unreachable: no such name", False) == (failure.reason, failure.sent)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP, from the proxy or the platform behind it"),
        (b"HTTP/1.1 two hundred OK\r\n\r\n", "no HTTP, from the proxy or the platform behind it"),
        (b"", "hung up, the proxy or the platform behind it"),
        (b"HTTP/1.1 200 OK\r\n\r\nno TLS at all", "hung up, the proxy or the platform behind it"),
    ],
)
async def test_a_proxy_that_speaks_rubbish_is_told_from_the_platform(answer: bytes, reason: str) -> None:
    """Never a traceback."""
    async with outbound_proxy({}, answer=answer) as proxy, _client(TLS, proxy.port) as client:
        failure = await _failing(client)
    assert (reason, False) == (failure.reason, failure.sent)


async def test_a_tunnel_to_something_without_tls_is_no_way() -> None:
    """Nothing is sent into it."""
    async with (
        scripted() as platform,
        outbound_proxy({"open.feishu.test:443": _address(platform)}) as proxy,
        _client(TLS, proxy.port) as client,
    ):
        failure = await _failing(client)
    assert ("no TLS, with the platform or with the proxy", False) == (failure.reason, failure.sent)


async def test_a_silent_proxy_is_given_up_as_a_connection_is() -> None:
    """Within the time that a connection may take, so that the call is tried again."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass
        writer.close()

    async with (
        await asyncio.start_server(silent, "127.0.0.1", 0) as server,
        _client(TLS, server.sockets[0].getsockname()[1]) as client,
    ):
        failure = await _failing(client)
    assert ("no connection through the proxy in time", False) == (failure.reason, failure.sent)


@pytest.mark.parametrize("url", [PLAIN, TLS])
@pytest.mark.parametrize("answer", [None, said(403), b"", b"SSH-2.0\r\n"])
async def test_a_failure_shows_no_credentials(url: str, answer: bytes | None) -> None:
    """Neither in the exception, nor in what it drags along, nor in the log, nor in the client itself."""
    with capture_logs() as lines:
        async with outbound_proxy({}, credentials="x:y", answer=answer) as proxy, _client(url, proxy.port) as client:
            failure = await _failure(client)
            shown = f"{lines} {client!r} {failure!r} {failure.__context__!r}"
            shown += "".join(traceback.format_exception(failure))
    basic = "YWRhOnBsYW50ZWQ="
    assert [] == [hidden for hidden in ("planted", basic, "s-secret") if hidden in shown]


async def test_a_lost_way_is_told_once() -> None:
    """And once more when it is lost in another way, or again."""

    async def lose(proxy: OutboundProxy, answer: bytes | None) -> None:
        proxy.answer = answer
        await _failing(client)

    with capture_logs() as lines:
        async with (
            scripted() as platform,
            outbound_proxy({"open.feishu.test:80": _address(platform)}) as proxy,
            _client(PLAIN, proxy.port) as client,
        ):
            for answer in (said(407), said(407)):
                await lose(proxy, answer)
            proxy.answer = None
            await client.call(APP, TENANT, RENAME)
            await lose(proxy, said(407))
    assert ["proxy refused: 407"] * 2 == [line["reason"] for line in lines if line["event"] == "platform_unreachable"]
