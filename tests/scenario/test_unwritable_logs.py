"""Nobody takes the log lines: the disk is full, or their reader stands still. Clicks and effects do not notice."""

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import aiohttp
import pytest

from simulator.app import run_simulator
from simulator.history import KEPT
from simulator.settings import SimulatorSettings
from tests.support.callbacks import APP_ID, ENCRYPT_KEY, click, encrypted, signed
from tests.support.clicking import People
from tests.support.commands import COMMAND, PATIENCE_S, environment
from tests.support.kafka import free_ports
from tests.support.spilling import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full, a disk that is full"),
]

HANDLERS: Final = """
from cardwire import App, SendText, Toast, UpdateCard

app = App()


@app.on_action("follow_up", answer=Toast.info("收到了"))
def follow_up(click, card):
    return [SendText("跟进了")]
"""
CARD: Final = {"config": {"update_multi": True}, "elements": []}
UNSIGNED: Final = 1_000
STOP_S: Final = 8.0


class Process:
    """A process whose log lines nobody takes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def ready(self, pattern: str) -> re.Match[str]:
        """Wait for its ready line."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await asyncio.to_thread(self._process.stdout.readline)
        found = re.match(pattern, line)
        assert found is not None, line
        return found

    async def stop(self) -> int:
        """Tell it to end, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, STOP_S)

    def children(self) -> set[int]:
        """Return the processes that it keeps."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], check=False, capture_output=True, text=True
        )
        return {int(pid) for pid in listed.stdout.split()}


@contextmanager
def _started(*arguments: str, env: Mapping[str, str], folder: Path, stderr: IO[str] | int) -> Iterator[Process]:
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=dict(env), cwd=folder, stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    try:
        yield Process(process)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def _on_a_full_disk(*arguments: str, env: Mapping[str, str], folder: Path) -> Iterator[Process]:
    with Path("/dev/full").open("w") as full, _started(*arguments, env=env, folder=folder, stderr=full) as process:
        yield process


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The settings of processes of this test's own."""
    settings = environment(tmp_path, LARK_APP_ID=APP_ID, LARK_ENCRYPT_KEY=ENCRYPT_KEY)
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    return settings


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Whoever calls."""
    async with aiohttp.ClientSession() as session:
        yield session


async def _number(client: aiohttp.ClientSession, admin: str, name: str) -> float:
    async with client.get(f"{admin}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))


async def _unsigned(client: aiohttp.ClientSession, url: str, count: int) -> set[int]:
    statuses = set()
    for _ in range(count):
        async with client.post(f"{url}/webhook/card", data=b"{}") as response:
            statuses.add(response.status)
    return statuses


GATEWAY_READY: Final = r"gateway ready callbacks=(\S+) admin=(\S+)"


async def test_a_gateway_on_a_full_disk_accepts_clicks_while_kafka_is_away(
    env: dict[str, str], tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    """It opens its breaker, tells nobody of it, spills, refuses who is unsigned, counts lost lines, and ends well."""
    away = {"CARDWIRE_LOG": "kafka://127.0.0.1:9", "CARDWIRE_SPILL": str(tmp_path / "spill")}
    with _on_a_full_disk("gateway", env={**env, **away}, folder=tmp_path) as gateway:
        _, url, admin = (await gateway.ready(GATEWAY_READY)).group(0, 1, 2)
        people = People(url, client)
        for n in range(20):
            assert (await people.click(f"ev{n}", "om_1")).is_accepted
        assert {401} == await _unsigned(client, url, 20)
        assert (await people.click("last", "om_1")).is_accepted
        assert 1 == await _number(client, admin, "cardwire_log_breaker_open")
        assert 20 < await _number(client, admin, "cardwire_log_lines_lost_total")
        assert 0 == await gateway.stop()


async def test_a_worker_on_a_full_disk_performs_each_effect_once(env: dict[str, str], tmp_path: Path) -> None:
    """What was sent is not sent again because a line about it was lost."""
    more = {"CARDWIRE_SIMULATOR_PORT": "0", "CARDWIRE_SIMULATOR_CALLBACK": "http://127.0.0.1:1"}
    async with run_simulator(SimulatorSettings.load({**env, **more})) as simulator:
        at = {**env, "LARK_DOMAIN": simulator.url}
        with (
            _on_a_full_disk("gateway", env=at, folder=tmp_path) as gateway,
            _on_a_full_disk("worker", env=at, folder=tmp_path) as worker,
        ):
            simulator.callback_url = f"{(await gateway.ready(GATEWAY_READY))[1]}/webhook/card"
            await worker.ready(r"worker ready admin=(\S+)")
            chats = [simulator.platform.new_chat("告警").chat_id for _ in range(5)]
            for chat_id in chats:
                message_id = simulator.put_card(chat_id, CARD)
                assert (await simulator.click(message_id, {"action": "follow_up"})).client_error is None

            def sent() -> list[str]:
                return sorted(
                    call.path
                    for call in simulator.platform.history.calls.after(0, KEPT)
                    if call.path.endswith("/messages")
                )

            await until(lambda: len(sent()) >= len(chats), patience_s=PATIENCE_S)
            await asyncio.sleep(1)  # a second attempt would come after half a second
            assert len(chats) == len(sent())
            assert (0, 0) == (await worker.stop(), await gateway.stop())


async def test_a_gateway_whose_log_nobody_reads_answers_and_ends(
    env: dict[str, str], tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    """A pipe that is full holds up neither 1,000 strangers nor people, nor the end."""
    with _started("gateway", env=env, folder=tmp_path, stderr=subprocess.PIPE) as gateway:
        _, url, admin = (await gateway.ready(GATEWAY_READY)).group(0, 1, 2)
        async with asyncio.timeout(PATIENCE_S):
            assert {401} == await _unsigned(client, url, UNSIGNED)
            people = People(url, client)
            for n in range(100):
                assert (await people.click(f"ev{n}", f"om_{n}")).is_accepted
        async with client.get(f"{admin}/healthz") as response:
            assert 200 == response.status
        began = time.monotonic()
        assert 0 == await gateway.stop()
        assert time.monotonic() - began < STOP_S


async def test_several_gateways_on_a_full_disk_are_kept_running(
    env: dict[str, str], tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    """One is killed: nobody can read of it, and it is started again."""
    with _on_a_full_disk("gateway", "--processes", "2", env=env, folder=tmp_path) as group:
        _, url, admin = (await group.ready(GATEWAY_READY)).group(0, 1, 2)
        before = await asyncio.to_thread(group.children)
        os.kill(max(before), signal.SIGKILL)

        async def are_two_again() -> bool:
            now = await asyncio.to_thread(group.children)
            return now != before and 2 == await _number(client, admin, "cardwire_processes_up")

        await until(are_two_again, patience_s=PATIENCE_S)
        wire = signed(encrypted(click("ev1")), at=time.time_ns() // 1_000_000)
        async with client.post(f"{url}/webhook/card", data=wire.body, headers=wire.headers) as response:
            assert "收到了" in await response.text()
        assert 0 == await group.stop()


@pytest.fixture
def full() -> Iterator[IO[str]]:
    """A file on a disk that is full."""
    with Path("/dev/full").open("w") as file:
        yield file


async def test_a_ready_line_that_nobody_takes_ends_nothing(env: dict[str, str], tmp_path: Path, full: IO[str]) -> None:
    """Standard output is a full disk as well: the gateway serves, and ends well when it is told to."""
    port = free_ports(1)[0]
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "gateway", env={**env, "CARDWIRE_ADMIN_PORT": str(port)}, cwd=tmp_path, stdout=full, stderr=full
    )

    async def is_ready() -> bool:
        async with aiohttp.ClientSession() as client:
            try:
                async with client.get(f"http://127.0.0.1:{port}/readyz") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

    try:
        await until(is_ready, patience_s=PATIENCE_S)
        await asyncio.sleep(0.3)  # the ready line is behind it
        process.terminate()
        assert 0 == await asyncio.wait_for(process.wait(), STOP_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
