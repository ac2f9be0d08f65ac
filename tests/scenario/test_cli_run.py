"""`cardwire run` and its processes, from start to stop."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.commands import PATIENCE_S, Started, environment, run, started

pytestmark = pytest.mark.slow

GATEWAY_READY = r"^gateway ready callbacks=(http://127\.0\.0\.1:\d+) admin=(http://127\.0\.0\.1:\d+)$"
WORKER_READY = r"^worker ready admin=(http://127\.0\.0\.1:\d+)$"


def _children(started: Started) -> dict[str, int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(started.process.pid)], check=False, capture_output=True, text=True
    ).stdout
    commands = [line.split() for line in listed.splitlines()]
    return {command[command.index("cardwire") + 1]: int(command[0]) for command in commands}


def _gone(pids: Sequence[int]) -> bool:
    return _soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def _soon(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def test_run_keeps_both_processes_running_and_stops_them(tmp_path: Path) -> None:
    """A killed worker is started again; SIGTERM ends everything, and that is no failure."""
    env = environment(tmp_path, CARDWIRE_LOG=None, CARDWIRE_LEDGER=None)
    with started("run", "--app", "my_handlers:app", env=env, cwd=tmp_path) as both:
        gateway, worker = both.until(GATEWAY_READY), both.until(WORKER_READY)
        for admin in (gateway[2], worker[1]):
            with urllib.request.urlopen(f"{admin}/readyz", timeout=5) as answer:  # noqa: S310 -- our own address
                assert answer.status == 200
        before = _children(both)
        os.kill(before["worker"], signal.SIGKILL)
        both.until(WORKER_READY, times=2)
        after = _children(both)
        assert before["gateway"] == after["gateway"]
        assert both.stop() == 0
        assert _gone([*after.values()])
        assert "cardwire: the worker ended (signal 9); it is started again in 0.5 s" in both.err.read_text()
    assert {"log.db", "ledger.db"} <= {path.name for path in (tmp_path / "cardwire-data").iterdir()}


def test_processes_do_not_outlive_a_killed_command(tmp_path: Path) -> None:
    """Nobody would ever stop them, and they would keep the port and the files."""
    env = environment(tmp_path, CARDWIRE_LOG=None, CARDWIRE_LEDGER=None)
    with started("run", env=env, cwd=tmp_path) as both:
        both.until(GATEWAY_READY)
        both.until(WORKER_READY)
        children = _children(both)
        both.stop(signal.SIGKILL)
        assert _gone([*children.values()])


def test_run_gives_up_when_a_process_cannot_start(tmp_path: Path) -> None:
    """Half a Cardwire would take clicks and never act on them; the other half is stopped, and the reason is told."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        ran = run("run", "--port", str(port), env=environment(tmp_path), cwd=tmp_path)
    assert 1 == ran.returncode
    assert [
        f"cardwire: CARDWIRE_PORT: 127.0.0.1:{port} is taken",
        "cardwire: the gateway cannot be kept running: its settings are refused (exit code 2); see above",
    ] == [line.split(": expected")[0] for line in ran.stderr.splitlines() if line.startswith("cardwire: ")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["gateway", "worker", "simulator"])
def test_a_process_says_when_it_is_ready_and_ends_when_told(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    """One line on standard output, with the addresses it is bound to; exit code 0."""
    env = environment(tmp_path, CARDWIRE_SIMULATOR_PORT="0")
    with started(command, env=env, cwd=tmp_path) as process:
        process.until(rf"^{command} ready \w+=http://127\.0\.0\.1:\d+")
        assert 0 == process.stop(number)
        assert 1 == len(process.out.read_text().splitlines())


def test_a_gateway_starts_without_its_log_and_says_that_it_is_not_ready(tmp_path: Path) -> None:
    """A click is answered honestly meanwhile; the gateway recovers by itself."""
    env = environment(tmp_path, CARDWIRE_LOG="kafka://127.0.0.1:1")
    with started("gateway", env=env, cwd=tmp_path) as gateway:
        admin = gateway.until(GATEWAY_READY)[2]
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{admin}/readyz", timeout=5)  # noqa: S310 -- our own address
        assert 0 == gateway.stop()


def test_topics_are_created_and_compared(tmp_path: Path) -> None:
    """A missing topic is a line and exit code 1; creating mends it."""
    env = environment(tmp_path)
    missing = run("topics", "check", env=env, cwd=tmp_path)
    assert (1, 3) == (missing.returncode, missing.stdout.count(": missing"))
    assert 0 == run("topics", "create", env=env, cwd=tmp_path).returncode
    there = run("topics", "check", env=env, cwd=tmp_path)
    assert (0, 3) == (there.returncode, there.stdout.count(": as it must be"))


def test_the_version_is_told(tmp_path: Path) -> None:
    """As packaged."""
    assert run("--version", env=environment(tmp_path), cwd=tmp_path).stdout.startswith("cardwire 0.")


def test_a_worker_that_stands_by_is_not_ready_before_it_is_its_turn(tmp_path: Path) -> None:
    """Whoever waits for its ready line would take it for one that decides clicks."""
    env = environment(tmp_path)
    with started("worker", env=env, cwd=tmp_path) as first:
        first.until(WORKER_READY)
        with started("worker", "--app", "my_handlers:app", env=env, cwd=tmp_path) as second:
            assert _soon(lambda: "consuming_paused" in second.err.read_text())
            assert "" == second.out.read_text()
            assert 0 == first.stop()
            second.until(WORKER_READY)
            assert 0 == second.stop()


def test_a_worker_that_stands_by_ends_when_told(tmp_path: Path) -> None:
    """Without ever having been ready."""
    env = environment(tmp_path)
    with started("worker", env=env, cwd=tmp_path) as first:
        first.until(WORKER_READY)
        with started("worker", "--app", "my_handlers:app", env=env, cwd=tmp_path) as second:
            assert _soon(lambda: "consuming_paused" in second.err.read_text())
            assert 0 == second.stop()
            assert "" == second.out.read_text()
