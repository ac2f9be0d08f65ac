"""What deciding waits for, as its log lines tell it."""

import asyncio
from collections.abc import Sequence

import structlog.testing

from shared.clock import ManualClock
from shared.core.errors import LogUnavailable
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import Polled
from tests.support.testable_log import record
from worker.deciding.pausing import AWAY_S, SILENT_S, STEADY_S, Pausing

NOTHING = Polled(records={}, assigned=frozenset(), revoked=frozenset())


class Asked(MemoryLog):
    """A log that counts how often it is asked whether it is there."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def ready(self) -> bool:
        self.asked += 1
        return await super().ready()


async def _polls(event_log: Asked, steps: Sequence[bool], *, every_s: float) -> tuple[list[str], Pausing]:
    """Hear nothing again and again, while the log is there or not; return the lines."""
    clock = ManualClock()
    pausing = Pausing(event_log, clock)
    with structlog.testing.capture_logs() as lines:
        for is_there in steps:
            event_log.available = is_there
            clock.advance(every_s)
            await pausing.heard(NOTHING)
    return [f"{line['event']} {line.get('waiting_for', line.get('waited_for'))}" for line in lines], pausing


async def test_a_log_that_goes_silent_is_told_of_once_and_its_return_once() -> None:
    """For each outage: a consumer of Kafka raises nothing while its brokers are away."""
    outage = [True, True, False, False, False, True, True]
    lines, pausing = await _polls(Asked(), outage * 2, every_s=SILENT_S)
    assert ["consuming_paused log", "consuming_resumed log"] * 2 == lines
    assert pausing.waiting_for is None


async def test_one_late_answer_is_no_outage() -> None:
    """A busy machine answers late now and then; each time the log is asked once more."""
    lines, pausing = await _polls(Asked(), [True, False] * 10 + [True], every_s=SILENT_S)
    assert ([], None) == (lines, pausing.waiting_for)


async def test_a_log_that_stumbles_as_it_comes_back_has_one_outage() -> None:
    """It is waited for at once, and worked with at once; only the lines, which are for people, take their time."""
    clock = ManualClock()
    pausing = Pausing(Asked(), clock)
    told: list[tuple[str, str | None]] = []
    with structlog.testing.capture_logs() as lines:
        for is_there in (False, True, False, True, False, *[True] * 8):
            if is_there:
                clock.advance(STEADY_S / 4)
                await pausing.heard(NOTHING)
            else:
                waiting = asyncio.ensure_future(pausing.wait("log", LogUnavailable("no broker answers")))
                await asyncio.sleep(0)
                clock.advance(AWAY_S)
                await waiting
            told.append((" ".join(line["event"] for line in lines), pausing.waiting_for))
    paused, resumed = "consuming_paused", "consuming_paused consuming_resumed"
    stumbling = [(paused, "log"), (paused, None)] * 2 + [(paused, "log")]
    assert stumbling + [(paused, None)] * 4 + [(resumed, None)] * 4 == told


async def test_while_it_is_away_that_is_what_is_waited_for() -> None:
    """So the process is alive on purpose, and says what it lacks."""
    _, pausing = await _polls(Asked(), [False, False], every_s=SILENT_S)
    assert "log" == pausing.waiting_for


async def test_a_quiet_log_is_asked_now_and_then_and_one_that_is_away_at_each_poll() -> None:
    """So a day without clicks costs little, and the end of an outage is noticed at once."""
    quiet, away = Asked(), Asked()
    await _polls(quiet, [True] * 40, every_s=SILENT_S / 10)
    await _polls(away, [False] * 40, every_s=SILENT_S / 10)
    assert (4, 31) == (quiet.asked, away.asked)


async def test_who_is_given_something_does_not_ask() -> None:
    """A log that gives records, or partitions, is there."""
    event_log, clock = Asked(), ManualClock()
    event_log.available = False
    pausing = Pausing(event_log, clock)
    for polled in (await _with_a_record(), Polled(records={}, assigned=frozenset({0}), revoked=frozenset())):
        clock.advance(10 * SILENT_S)
        await pausing.heard(polled)
        assert (0, None, clock.monotonic()) == (event_log.asked, pausing.waiting_for, pausing.progress)


async def _with_a_record() -> Polled:
    event_log = MemoryLog()
    await event_log.append([record()])
    found = {number: await event_log.read("t", number, 0, limit=1) for number in await event_log.spans("t")}
    return Polled(records=found, assigned=frozenset(), revoked=frozenset())
