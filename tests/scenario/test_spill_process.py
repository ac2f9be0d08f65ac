"""The spill of a gateway that is killed, stopped, or told nonsense: what an operator meets."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest

from tests.support.clicking import PATIENCE_S, Place, people
from tests.support.kafka import KafkaBroker
from tests.support.spilling import spills_in, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

HANDLERS = """
from cardwire import App, Toast

app = App()

@app.on_action("follow_up", answer=Toast.info("收到了"))
def follow_up(click, card):
    return []
"""

READY = re.compile(r"gateway ready callbacks=(\S+)")

Start = Callable[..., Coroutine[None, None, asyncio.subprocess.Process]]


@pytest.fixture
def place(kafka_broker: KafkaBroker, tmp_path: Path) -> Place:
    """A place of this test's own."""
    return Place(bootstrap=kafka_broker.bootstrap, prefix=f"p{time.time_ns()}.", spill=tmp_path / "spill")


@pytest.fixture
async def start(place: Place, tmp_path: Path) -> AsyncIterator[Start]:
    """Yield what starts a gateway here; those that still run are killed at the end."""
    started: list[asyncio.subprocess.Process] = []
    (tmp_path / "handlers.py").write_text(HANDLERS)

    async def begin(**more: str) -> asyncio.subprocess.Process:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cardwire", "gateway",
            cwd=tmp_path, env={**inherited, **place.env(), "CARDWIRE_APP": "handlers:app", **more},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _url(process: asyncio.subprocess.Process) -> str:
    """Wait until a gateway is ready, and return where it takes callbacks."""
    found = READY.search(await _line(process, "gateway ready"))
    assert found is not None
    return found[1]


async def _line(process: asyncio.subprocess.Process, holding: str) -> str:
    """Return the next line of a gateway that holds a text."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while line := (await process.stdout.readline()).decode():
            if holding in line:
                return line
    raise AssertionError(f"it ended without a line with {holding}")


async def _clicks(place: Place) -> set[str]:
    received, _ = await place.logged()
    return {event.event_id for event in received}


async def test_a_killed_gateways_spill_is_drained_by_the_next_one(
    kafka_broker: KafkaBroker, place: Place, start: Start
) -> None:
    """SIGKILL amid clicks, the broker frozen: every click that was accepted is in the log in the end."""
    await place.make_topics()
    await asyncio.to_thread(kafka_broker.pause)
    accepted: set[str] = set()
    for n in range(2):
        process = await start()
        async with people(await _url(process)) as clicking:
            for i in range(50):
                await clicking.click(f"ev{n}-{i}", f"om_{i % 5}")
            under_way = asyncio.create_task(clicking.click_for(1, per_s=200, name=f"more{n}"))
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGKILL)
            await process.communicate()
            await asyncio.gather(under_way, return_exceptions=True)
            assert 50 <= len(clicking.accepted())
            accepted |= clicking.accepted()
    assert 2 == len(spills_in(place.spill))
    await asyncio.to_thread(kafka_broker.resume)
    await _url(last := await start())
    await until(lambda: len(spills_in(place.spill)) == 1, patience_s=PATIENCE_S)
    assert set() == accepted - await _clicks(place)
    last.terminate()
    await asyncio.wait_for(last.communicate(), 10)
    assert [] == spills_in(place.spill)


async def test_told_to_stop_in_an_outage_it_leaves_clicks_and_marks_in_the_spill(
    kafka_broker: KafkaBroker, place: Place, start: Start
) -> None:
    """SIGTERM right behind the answers: it ends in time, and its successor brings everything to the log."""
    await place.make_topics()
    await asyncio.to_thread(kafka_broker.pause)
    process = await start()
    async with people(await _url(process)) as clicking:
        await clicking.click_for(2, per_s=20)
        process.terminate()
        began = time.monotonic()
        await asyncio.wait_for(process.communicate(), 10)
        assert time.monotonic() - began < 6
        assert 0 == process.returncode
        assert 40 == len(clicking.accepted())
        assert 1 == len(spills_in(place.spill))
        await asyncio.to_thread(kafka_broker.resume)
        await _url(await start())
        await until(lambda: _has_marks(place, clicking.accepted()), patience_s=PATIENCE_S)
        assert clicking.accepted() == await _clicks(place)


async def _has_marks(place: Place, event_ids: set[str]) -> bool:
    _, answered = await place.logged()
    return event_ids == {mark.event_id for mark in answered}


async def test_a_topic_that_is_missing_is_waited_for(place: Place, start: Start) -> None:
    """Clicks are accepted meanwhile, the line says what to do, and they are in the log once it is done."""
    process = await start()
    async with people(await _url(process)) as clicking:
        assert (await clicking.click("early", "om_1")).is_accepted
        line = await _line(process, "spill_waits")
        assert "run `cardwire topics create`" in line
        await place.make_topics()
        await until(lambda: _has(place, "early"), patience_s=PATIENCE_S)


async def _has(place: Place, event_id: str) -> bool:
    return event_id in await _clicks(place)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (
            {"CARDWIRE_SPILL": "handlers.py"},
            r"CARDWIRE_SPILL=handlers.py cannot be used.*for example CARDWIRE_SPILL=/var",
        ),
        ({"CARDWIRE_SPILL_MAX_ROWS": "0"}, r"CARDWIRE_SPILL_MAX_ROWS is malformed: expected a whole number from 1"),
    ],
)
async def test_a_setting_that_makes_no_sense_is_one_line(start: Start, env: dict[str, str], expected: str) -> None:
    """It does not start; the line names the setting and an example."""
    process = await start(**env)
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert 0 != process.returncode
    assert re.search(expected, out.decode())
    assert "Traceback" not in out.decode()


async def test_a_sqlite_log_needs_no_spill(start: Start, place: Place) -> None:
    """The gateway says that it does not use it, and makes nothing there."""
    process = await start(CARDWIRE_LOG="sqlite:///log.db")
    assert "CARDWIRE_SPILL" in await _line(process, "spill_not_used")
    await _url(process)
    assert not await asyncio.to_thread(place.spill.exists)
