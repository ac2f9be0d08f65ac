"""How a connection is opened, where it is not."""

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.longconn.dial import Dialer, NotConnected
from shared.core.ids import AppId
from shared.core.secret import Secret
from tests.unit.gateway.longconn.platform import SERVICE, Platform, run_platform


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """Run a platform."""
    async with run_platform() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client session."""
    async with aiohttp.ClientSession() as opened:
        yield opened


def dialer(session: aiohttp.ClientSession, domain: str, *, within_s: float = 5) -> Dialer:
    """Return a dialer of an app."""
    return Dialer(session, domain=domain, app_id=AppId("cli_a1"), app_secret=Secret("planted"), within_s=within_s)


@pytest.fixture
def nobody() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"


async def test_an_open_connection_knows_its_service(session: aiohttp.ClientSession, platform: Platform) -> None:
    """And the app was named, with its secret, where the address was asked for."""
    dialled = await dialer(session, platform.url).dial()
    assert SERVICE == dialled.service
    assert [{"AppID": "cli_a1", "AppSecret": "planted"}] == platform.asked
    await dialled.socket.close()


async def test_a_platform_that_says_nothing_is_given_up(session: aiohttp.ClientSession) -> None:
    """After one deadline for everything."""
    hung = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(NotConnected, match=r"^no answer within 0\.05 s$"):
        await dialer(session, f"http://127.0.0.1:{port}", within_s=0.05).dial()
    hung.set()
    server.close()
    await server.wait_closed()


async def test_a_platform_that_is_not_there_is_told_without_its_address(
    session: aiohttp.ClientSession, platform: Platform, nobody: str
) -> None:
    """Neither where it was asked for an address, nor where that address leads."""
    for away in ("the platform", "its address"):
        if away == "its address":
            url = f"{nobody.replace('http', 'ws')}/ws/v2?service_id=1&ticket=planted"
            platform.reply = (200, f'{{"code":0,"data":{{"URL":"{url}"}}}}'.encode())
        with pytest.raises(NotConnected) as raised:
            await dialer(session, nobody if away == "the platform" else platform.url).dial()
        assert raised.value.__suppress_context__
        assert "planted" not in str(raised.value)
        assert nobody not in str(raised.value)
        assert str(raised.value).endswith(" cannot be reached (connection refused)")
