"""Secrets that are changed in their files while gateway and worker run."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from cardwire.demo import alert_card, app
from gateway.app import serve
from gateway.settings import GatewaySettings
from shared.clock import ManualClock
from shared.reread import REREAD_S
from shared.settings import rereader
from simulator.app import run_simulator
from simulator.settings import SimulatorSettings
from tests.support.callbacks import APP_ID, NOW, VERIFICATION_TOKEN, click, encrypted, signed
from tests.support.documents import ROOT
from tests.support.testable_log import TestableLog
from tests.support.world import files, world
from worker.settings import WorkerSettings

OLD, NEW = "the key until now", "the-key-from-now-on"
SECRET = "s3cr3t-not-real"
HOWTO = ROOT / "docs" / "howto" / "rotate-keys.md"


class Running:
    """A gateway whose keys are in files."""

    def __init__(self, folder: Path, clock: ManualClock, session: aiohttp.ClientSession) -> None:
        self.key, self.key_old, self.url = folder / "encrypt_key", folder / "encrypt_key_old", ""
        self._session, self._clock = session, clock
        self._sent = self._reads = 0

    def counted(self, read: Callable[[], GatewaySettings]) -> Callable[[], GatewaySettings]:
        """Return what reads the settings, and is known to have done so."""

        def reading() -> GatewaySettings:
            try:
                return read()
            finally:
                self._reads += 1

        return reading

    async def accepted(self) -> list[str]:
        """Return which keys a click may be signed with."""
        return [key for key in (OLD, NEW) if await self._status(key) == 200]

    async def becomes(self, expected: list[str]) -> bool:
        """Say whether these are the keys once the files have been read again."""
        await self._read_again()
        return await self.accepted() == expected

    async def stays(self, expected: list[str]) -> bool:
        """Say whether these are the keys still when the files have been read again, twice."""
        await self._read_again()
        await self._read_again()
        return await self.accepted() == expected

    async def _read_again(self) -> None:
        reads = self._reads
        async with asyncio.timeout(10):
            while self._reads == reads:
                self._clock.advance(REREAD_S)
                await asyncio.sleep(0.01)  # A thread reads.
        await asyncio.sleep(0.01)  # What it read has reached the loop.

    async def _status(self, key: str) -> int:
        self._sent += 1
        wire = signed(encrypted(click(f"ev{self._sent}"), key=key), key=key)
        async with self._session.post(f"{self.url}/webhook/card", data=wire.body, headers=wire.headers) as response:
            return response.status


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Running]:
    """Run a gateway with the old key in a file."""
    (folder / "encrypt_key").write_text(OLD)
    (folder / "encrypt_key_old").write_text("")
    env = {
        "LARK_APP_ID": APP_ID,
        "LARK_ENCRYPT_KEY_FILE": str(folder / "encrypt_key"),
        "LARK_ENCRYPT_KEY_OLD_FILE": str(folder / "encrypt_key_old"),
        "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN,
        "CARDWIRE_APP": "tests:app",
        "CARDWIRE_LOG": "sqlite:///unused.db",
        "CARDWIRE_PORT": "0",
        "CARDWIRE_ADMIN_PORT": "0",
    }
    clock, settings = ManualClock(NOW), GatewaySettings.load(env)
    read = rereader(GatewaySettings, env)
    assert read is not None
    async with aiohttp.ClientSession() as session:
        running = Running(folder, clock, session)
        serving = serve(settings, app, reread=running.counted(read), event_log=TestableLog(), clock=clock)
        async with serving as served:
            running.url = served.url
            yield running


async def test_a_key_is_changed_without_a_restart_and_without_a_click_refused(tmp_path: Path) -> None:
    """By the commands of docs/howto/rotate-keys.md: both are accepted while the console changes."""
    _, both, new = re.findall(r"^ *```sh\n(.*?)^ *```", HOWTO.read_text(), re.MULTILINE | re.DOTALL)
    async with gateway(tmp_path) as running:
        assert [OLD] == await running.accepted()
        await _typed(both.replace("openssl rand -hex 16", f"echo {NEW}"), tmp_path)
        assert await running.becomes([OLD, NEW])
        await _typed(new, tmp_path)
        assert await running.becomes([NEW])


async def test_the_next_long_connection_is_opened_with_the_secret_of_its_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The open one stays. With one that the platform does not know none is opened, until the file is put right."""
    secret = tmp_path / "app_secret"
    secret.write_text(SECRET)
    clock = ManualClock(NOW)
    common = {"LARK_APP_ID": APP_ID, "LARK_DELIVERY": "websocket", "CARDWIRE_SIMULATOR_PORT": "0"}
    platform = SimulatorSettings.load({**common, "LARK_APP_SECRET": SECRET})
    async with run_simulator(platform, clock=clock) as simulator:
        env = {
            **common,
            "LARK_APP_SECRET_FILE": str(secret),
            "LARK_DOMAIN": simulator.url,
            "CARDWIRE_APP": "tests:app",
            "CARDWIRE_LOG": "sqlite:///unused.db",
            "CARDWIRE_ADMIN_PORT": "0",
        }
        settings, read = GatewaySettings.load(env), rereader(GatewaySettings, env)
        async with serve(settings, app, reread=read, event_log=TestableLog(), clock=clock) as served:
            (client,) = simulator.connections.clients
            secret.write_text("of another app")
            await _passes(clock, lambda: "changed" in str(capsys.readouterr().out))
            assert (client,) == simulator.connections.clients
            await client.end("close")
            await _passes(clock, lambda: "long_connection_refused" in str(capsys.readouterr().out))
            assert not served.connections[0].is_connected
            secret.write_text(SECRET)
            await _passes(clock, lambda: served.connections[0].is_connected)


async def _passes(clock: ManualClock, holds: Callable[[], bool]) -> None:
    """Let time go by until something holds: settings are read again in a thread."""
    async with asyncio.timeout(10):
        while not holds():
            clock.advance(REREAD_S)
            await asyncio.sleep(0.01)


async def _typed(commands: str, folder: Path) -> None:
    ours = commands.replace("/run/secrets/", f"{folder}/")
    assert ours != commands
    shell = await asyncio.create_subprocess_exec("bash", "-euc", ours)
    assert 0 == await shell.wait()


async def test_a_file_that_cannot_be_used_leaves_the_keys_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Empty for a moment, or gone: one line says so; what is there later counts."""
    async with gateway(tmp_path) as running:
        running.key.write_text("")
        assert await running.stays([OLD])
        running.key.unlink()
        assert await running.stays([OLD])
        running.key.write_text(NEW)
        assert await running.becomes([NEW])
    lines = [line for line in capsys.readouterr().out.splitlines() if "settings_kept" in line]
    assert 2 == len(lines)
    assert "it is empty" in lines[0]
    assert "No such file or directory" in lines[1]


@pytest.mark.slow
async def test_the_workers_secret_is_changed_without_a_restart(tmp_path: Path) -> None:
    """Effects wait while the platform does not know the secret, and are performed once the file has the right one."""
    secret = tmp_path / "secret"
    secret.write_text("the secret until now")
    async with world(files(tmp_path), app, workers=0) as running:
        env = {**running.env, "LARK_DOMAIN": running.simulator.url, "LARK_APP_SECRET": ""}
        env["LARK_APP_SECRET_FILE"] = str(secret)
        reread = rereader(WorkerSettings, env)
        async with running.worker({"LARK_APP_SECRET": "", "LARK_APP_SECRET_FILE": str(secret)}, reread=reread):
            chat_id = await running.chat()
            message_id = running.simulator.put_card(chat_id, alert_card("支付超时率 3.2%"))
            await running.simulator.click(message_id, {"action": "follow_up", "alert": "支付超时率 3.2%"})

            async def refused() -> bool:
                return any(outcome.reason == "configuration" for outcome in await running.outcomes())

            await running.until(refused)
            assert "支付告警" == running.simulator.platform.chat(chat_id).name
            secret.write_text(running.env["LARK_APP_SECRET"])
            await running.quiet()
        assert "跟进中" == running.simulator.platform.chat(chat_id).name
        await running.check()
