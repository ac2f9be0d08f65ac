"""Several gateway processes on one port, as an operator and as people who click meet them."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cardwire.demo import alert_card
from shared.core.codec import decode
from shared.core.events import InteractionAnswered
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from simulator.app import run_simulator
from simulator.settings import SimulatorSettings
from tests.support.asking import Program, request, write_callers
from tests.support.callbacks import APP_ID, ENCRYPT_KEY, Wire, click, encrypted, signed
from tests.support.clicking import PATIENCE_S, Place
from tests.support.commands import Started, environment, run, started
from tests.support.kafka import KafkaBroker
from tests.support.spilling import spills_in, until

pytestmark = pytest.mark.slow

# Each answer tells who gave it.
HANDLERS = """
import os
from cardwire import App, Toast

app = App()

@app.on_action("follow_up", answer=lambda click: Toast.info(f"process {os.getpid()}"))
def follow_up(click, card):
    return []
"""

READY = r"^gateway ready callbacks=(http://127\.0\.0\.1:\d+) admin=(http://127\.0\.0\.1:\d+)$"
CLICKS = 60
APP = "cli_a1b2c3d4e5f60718"  # that the program may ask for


class Group:
    """A command that keeps two gateways, and people who click on them, each over a connection of their own."""

    def __init__(self, command: Started, client: aiohttp.ClientSession) -> None:
        self.command, self._client = command, client
        self._clicked = 0
        ready = command.until(READY)
        self.url, self.admin = ready[1], ready[2]

    @property
    def pids(self) -> set[int]:
        """The processes that it keeps."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.command.process.pid)], check=False, capture_output=True, text=True
        )
        return {int(pid) for pid in listed.stdout.split()}

    async def click(self, count: int = CLICKS) -> Counter[int]:
        """Click so many times at once; return which process answered how many."""
        ids = [f"ev{n}" for n in range(self._clicked, self._clicked + count)]
        self._clicked += count
        toasts = await asyncio.gather(*(self._toast(id_) for id_ in ids))
        return Counter(int(toast.removeprefix("process ")) for toast in toasts)

    async def _toast(self, event_id: str) -> str:
        wire = _wire(event_id)
        async with self._client.post(f"{self.url}/webhook/card", data=wire.body, headers=wire.headers) as response:
            toast: str = (await response.json())["toast"]["content"]
            return toast

    async def says(self, path: str) -> int:
        """Return the status of a page of the admin port."""
        async with self._client.get(self.admin + path) as response:
            return response.status

    async def number(self, name: str) -> float:
        """Return the sum of a metric's lines."""
        async with self._client.get(f"{self.admin}/metrics") as response:
            lines = (await response.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    """The settings of a gateway of this test's own."""
    settings = environment(tmp_path, LARK_APP_ID=APP_ID, LARK_ENCRYPT_KEY=ENCRYPT_KEY)
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    return settings


@contextmanager
def _started(env: Mapping[str, str], folder: Path) -> Iterator[Started]:
    with started("gateway", "--processes", "2", env=env, cwd=folder) as command:
        yield command


@pytest.fixture
async def group(env: Mapping[str, str], tmp_path: Path) -> AsyncIterator[Group]:
    """Yield two gateways on a SQLite log."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as client:
        with _started(env, tmp_path) as command:
            yield Group(command, client)


def _wire(event_id: str) -> Wire:
    return signed(encrypted(click(event_id, message_id=f"om_{event_id}")), at=time.time_ns() // 1_000_000)


async def _marks(folder: Path) -> set[str]:
    log = open_log(f"sqlite:////{folder / 'log.db'}")
    topic = Topics().interactions
    records = [record for number in await log.spans(topic) for record in await log.read(topic, number, 0, limit=10_000)]
    await log.close()
    events: Sequence[Any] = [decode(record.headers, record.value) for record in records]
    return {event.event_id for event in events if isinstance(event, InteractionAnswered)}


async def test_two_processes_share_a_port_and_look_like_one(group: Group, tmp_path: Path) -> None:
    """Any free port, one ready line, one admin port; both serve, and their clicks are counted together."""
    served = await group.click()
    assert group.pids == set(served)
    assert CLICKS == await group.number("cardwire_callbacks_total")
    assert CLICKS == await group.number("cardwire_answer_seconds_count")
    assert 2 == await group.number("cardwire_processes_up")
    assert (200, 200) == (await group.says("/readyz"), await group.says("/healthz"))
    assert 0 == group.command.stop()
    assert 1 == len(group.command.out.read_text().splitlines())
    assert {f"ev{n}" for n in range(CLICKS)} == await _marks(tmp_path)


async def test_while_a_killed_process_comes_back_the_other_serves(group: Group) -> None:
    """No click is refused, no number falls, and then there are two again."""
    await group.click()
    assert CLICKS == await group.number("cardwire_callbacks_total")
    killed, other = group.pids
    os.kill(killed, signal.SIGKILL)
    await until(lambda: _lost(group))
    assert {other: CLICKS} == await group.click()
    assert 2 * CLICKS == await group.number("cardwire_callbacks_total")
    assert (200, 200) == (await group.says("/readyz"), await group.says("/healthz"))
    await until(lambda: _up(group, 2))
    served = await group.click()
    assert other in served
    assert group.pids == set(served)
    assert killed not in served
    assert 3 * CLICKS == await group.number("cardwire_callbacks_total")
    told = "the gateway process [12] ended \\(signal 9\\); it is started again in 0.5 s"
    assert 1 == len(re.findall(told, group.command.err.read_text()))
    assert 1 == len(group.command.out.read_text().splitlines())


async def _lost(group: Group) -> bool:
    return await group.number("cardwire_processes_lost_total") == 1


async def _up(group: Group, count: int) -> bool:
    return await group.number("cardwire_processes_up") == count


async def test_a_process_that_hangs_is_told_of_and_keeps_no_page_waiting(group: Group) -> None:
    """Whoever asks for the group's health may restart it; numbers of the other one are shown meanwhile."""
    await group.click()
    assert CLICKS == await group.number("cardwire_callbacks_total")
    hanging = min(group.pids)
    os.kill(hanging, signal.SIGSTOP)
    try:
        async with asyncio.timeout(3):
            assert 503 == await group.says("/healthz")
            assert 200 == await group.says("/readyz")
            assert 1 == await group.number("cardwire_processes_up")
        assert CLICKS == await group.number("cardwire_callbacks_total")
    finally:
        os.kill(hanging, signal.SIGCONT)
    assert 200 == await group.says("/healthz")


async def test_told_to_stop_all_processes_finish_what_they_have_begun(group: Group, tmp_path: Path) -> None:
    """Callbacks of which half had arrived, at either of them, are answered; each has its mark; it is no failure."""
    with ExitStack() as stack:
        halves = [stack.enter_context(_half(group.url, f"half{n}")) for n in range(20)]
        await asyncio.sleep(0.1)  # Until they are read; nothing tells that they are.
        group.command.process.send_signal(signal.SIGTERM)
        await until(lambda: _refuses(group.url))
        for connection, rest in halves:
            connection.sendall(rest)
        answers = [connection.recv(65536) for connection, _ in halves]
    assert [b"HTTP/1.1 200 OK"] * 20 == [answer.partition(b"\r\n")[0] for answer in answers]
    assert 2 == len({re.findall(rb"process \d+", answer)[0] for answer in answers})
    assert 0 == await asyncio.to_thread(group.command.process.wait, 10)
    assert {f"half{n}" for n in range(20)} == await _marks(tmp_path)


@contextmanager
def _half(url: str, event_id: str) -> Iterator[tuple[socket.socket, bytes]]:
    """Send half of a callback; give the connection and the other half."""
    wire, port = _wire(event_id), int(url.rpartition(":")[2])
    headers = {**wire.headers, "Host": "x", "Content-Length": str(len(wire.body))}
    head = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"POST /webhook/card HTTP/1.1\r\n{head}\r\n".encode() + wire.body[:100])
        yield connection, wire.body[100:]


def _refuses(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=1).close()
    except ConnectionError:  # refused, or reset: it had not been accepted
        return True
    return False


async def test_processes_do_not_outlive_a_killed_command(group: Group) -> None:
    """Nobody would start them again, and the next command would find its port taken."""
    pids = group.pids
    group.command.stop(signal.SIGKILL)
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("LARK_APP_ID", None, "LARK_APP_ID is missing: expected the app's id"),
        ("CARDWIRE_PROCESSES", "many", "CARDWIRE_PROCESSES is malformed: expected a whole number from 1 to 64"),
        ("CARDWIRE_APP", "absent:app", "CARDWIRE_APP names the module 'absent'"),
        ("CARDWIRE_HOST", "192.0.2.1", "CARDWIRE_HOST: cannot listen on 192.0.2.1:0"),
    ],
)
def test_a_setting_is_refused_once(
    name: str, text: str | None, expected: str, env: Mapping[str, str], tmp_path: Path
) -> None:
    """Not once for each process: none is started."""
    changed = {"CARDWIRE_PROCESSES": "2", **env, **({} if text is None else {name: text})}
    if text is None:
        del changed[name]
    ran = run("gateway", env=changed, cwd=tmp_path)
    (line,) = ran.stderr.splitlines()
    assert 2 == ran.returncode
    assert line.startswith(f"cardwire: {expected}")


def test_a_warning_about_settings_is_given_once(env: Mapping[str, str], tmp_path: Path) -> None:
    """Two names of one setting differ: it is told, and goes on."""
    with _started({**env, "FEISHU_APP_ID": "cli_another"}, tmp_path) as command:
        command.until(READY)
        lines = [line for line in command.err.read_text().splitlines() if line.startswith("cardwire: ")]
    assert 1 == len(lines)
    assert "FEISHU_APP_ID" in lines[0]


@pytest.mark.parametrize("name", ["CARDWIRE_PORT", "CARDWIRE_ADMIN_PORT"])
def test_a_port_that_is_taken_is_refused_once(name: str, env: Mapping[str, str], tmp_path: Path) -> None:
    """By the command itself, which knows before any process does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        ran = run("gateway", "--processes", "2", env={**env, name: port}, cwd=tmp_path)
    (line,) = ran.stderr.splitlines()
    assert 2 == ran.returncode
    assert line.startswith(f"cardwire: {name}: ")


async def test_a_port_that_another_group_shares_is_refused(
    group: Group, env: Mapping[str, str], tmp_path: Path
) -> None:
    """The kernel would spread the clicks over both of them."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "my_handlers.py").write_text(HANDLERS)
    port = group.url.rpartition(":")[2]
    for processes in ("1", "2"):
        ran = await asyncio.to_thread(run, "gateway", "--port", port, "--processes", processes, env=env, cwd=folder)
        assert 2 == ran.returncode
        assert f"cardwire: CARDWIRE_PORT: 127.0.0.1:{port} is taken: expected " in ran.stderr


def test_what_only_a_process_can_find_is_told_once(env: Mapping[str, str], tmp_path: Path) -> None:
    """The first is started alone; the command says that it ends because of it."""
    changed = {**env, "CARDWIRE_LOG": "kafka://127.0.0.1:1", "CARDWIRE_SPILL": str(tmp_path / "my_handlers.py")}
    ran = run("gateway", "--processes", "2", env=changed, cwd=tmp_path)
    told = [line for line in ran.stderr.splitlines() if line.startswith("cardwire: ")]
    assert 1 == ran.returncode
    assert 1 == sum("cannot be used" in line for line in told)
    assert "the gateway process 1 cannot be kept running: its settings are refused (exit code 2)" in told[-1]
    assert 2 == len(told)


async def test_each_process_has_a_long_connection_of_its_own(env: Mapping[str, str], tmp_path: Path) -> None:
    """The platform picks one for each click; the ready line names no port for callbacks."""
    more = {"CARDWIRE_SIMULATOR_PORT": "0", "CARDWIRE_SIMULATOR_CALLBACK": "http://127.0.0.1:1"}
    async with run_simulator(SimulatorSettings.load({**env, **more})) as simulator:
        connected = {**env, "LARK_DELIVERY": "websocket", "LARK_DOMAIN": simulator.url}
        with _started(connected, tmp_path) as command:
            await asyncio.to_thread(command.until, r"^gateway ready callbacks=long-connection admin=")
            assert 2 == len(simulator.connections.clients)
            message_id = simulator.put_card(simulator.platform.new_chat("告警").chat_id, alert_card("支付超时率"))
            seen = [await simulator.click(message_id, {"action": "follow_up"}) for _ in range(20)]
            assert 2 == len({each.client_text for each in seen})
            assert all(client.delivered for client in simulator.connections.clients)
            assert 0 == await asyncio.to_thread(command.stop)


async def test_requests_of_programs_come_to_either_process(env: Mapping[str, str], tmp_path: Path) -> None:
    """Their port is shared, too, and stands in the one ready line; what each counts is added up."""
    callers = {"CARDWIRE_REQUESTS_PORT": "0", "CARDWIRE_CALLERS": str(write_callers(tmp_path / "callers.toml"))}
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    with _started({**env, **callers, "LARK_APP_ID": APP}, tmp_path) as command:
        ready = await asyncio.to_thread(command.until, r"^gateway ready callbacks=\S+ requests=(\S+) admin=(\S+)$")
        async with aiohttp.ClientSession(connector=connector) as client:
            program = Program(url=ready[1], client=client)
            asked = [request({"kind": "SendText", "text": "好", "to": "oc_1"}, request_id=f"r{n}") for n in range(20)]
            assert {202} == {status for status, _ in await asyncio.gather(*map(program.post, asked))}
            async with client.get(f"{ready[2]}/metrics") as response:
                assert 'cardwire_requests_total{caller="billing",outcome="accepted"} 20.0' in await response.text()
        assert 0 == await asyncio.to_thread(command.stop)


@pytest.mark.kafka
async def test_the_spill_of_a_killed_process_is_brought_to_the_log_by_another(
    kafka_broker: KafkaBroker, env: Mapping[str, str], tmp_path: Path
) -> None:
    """Each has a file of its own; the broker frozen, one killed: every click that was accepted is in the log."""
    place = Place(bootstrap=kafka_broker.bootstrap, prefix=f"g{time.time_ns()}.", spill=tmp_path / "spill")
    await place.make_topics()
    kafka = {name: text for name, text in place.env().items() if name in {"CARDWIRE_LOG", "CARDWIRE_TOPIC_PREFIX"}}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as client:
        with _started({**env, **kafka, "CARDWIRE_SPILL": str(place.spill)}, tmp_path) as command:
            group = Group(command, client)
            await asyncio.to_thread(kafka_broker.pause)
            assert group.pids == set(await group.click())
            before = spills_in(place.spill)
            assert 2 == len(before)
            os.kill(min(group.pids), signal.SIGKILL)
            await until(lambda: len(spills_in(place.spill)) == 3)
            await asyncio.to_thread(kafka_broker.resume)
            await until(lambda: len(spills_in(place.spill)) == 2, patience_s=PATIENCE_S)
            await until(lambda: _is_drained(group), patience_s=PATIENCE_S)
            received, _ = await place.logged()
            assert {f"ev{n}" for n in range(CLICKS)} == {event.event_id for event in received}
            assert 0 == command.stop()


async def _is_drained(group: Group) -> bool:
    return await group.number("cardwire_spill_rows") == 0 and await group.number("cardwire_log_breaker_open") == 0
