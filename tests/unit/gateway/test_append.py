import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway import append
from gateway.append import BUDGET_S, EVERY_S, MAX_IN_FLIGHT, MAX_MARKS, MAX_WAITING, Appender
from shared.clock import ManualClock
from shared.core.errors import LogUnavailable, RecordRefused
from shared.observability.metrics import APPENDS_IN_FLIGHT, GATEWAY_METRICS, MARKS, Metrics
from tests.support.testable_log import TestableLog, record


@pytest.fixture
async def log() -> TestableLog:
    """Return a log in memory."""
    return TestableLog()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
def metrics() -> Metrics:
    """Return the gateway's numbers."""
    return Metrics(*GATEWAY_METRICS)


@pytest.fixture
async def appender(log: TestableLog, clock: ManualClock, metrics: Metrics) -> AsyncIterator[Appender]:
    """Yield an appender at work."""
    appender = Appender(log, clock=clock, metrics=metrics, stuck_s=0.05)
    appender.start()
    yield appender
    log.gate.set()
    await appender.close()


async def _until_appending(log: TestableLog, calls: int = 1) -> None:
    while len(log.appends) < calls:  # noqa: ASYNC110 -- turns of the loop, not time
        await asyncio.sleep(0)


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _values(log: TestableLog) -> list[bytes]:
    return [found.value for found in await log.all("t")]


class TestCallers:
    """What a caller can rely on."""

    async def test_a_returned_append_is_in_the_log(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """Durable before anybody is answered."""
        await appender.append(record(value=b"1"), started=clock.monotonic())
        assert [b"1"] == await _values(log)

    async def test_what_arrives_during_an_append_becomes_the_next_one(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """Many callbacks share one append, and each card keeps its order."""
        log.gate.clear()
        tasks = [asyncio.create_task(appender.append(record(value=b"first"), started=clock.monotonic()))]
        await _until_appending(log)
        tasks += [
            asyncio.create_task(appender.append(record(value=b"%d" % n), started=clock.monotonic())) for n in range(50)
        ]
        await _settle()
        log.gate.set()
        await asyncio.gather(*tasks)
        assert [1, 50] == [len(call) for call in log.appends]
        assert [b"first", *(b"%d" % n for n in range(50))] == await _values(log)

    async def test_what_follows_closely_upon_an_append_is_appended_together(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """One record costs nearly as much as many; the first of them waits for nobody."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await appender.append(record(), started=clock.monotonic())
        following = [asyncio.create_task(appender.append(record(), started=clock.monotonic()))]
        await _settle()
        following += [asyncio.create_task(appender.append(record(), started=clock.monotonic())) for _ in range(2)]
        await asyncio.gather(*following)
        assert [1, 3] == [len(call) for call in log.appends]
        assert loop.time() - began >= EVERY_S

    async def test_no_append_is_larger_than_its_bound(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """A thousand callers are served in turns."""
        await asyncio.gather(*(appender.append(record(), started=clock.monotonic()) for _ in range(1000)))
        assert 1000 == sum(len(call) for call in log.appends)
        assert MAX_IN_FLIGHT >= max(len(call) for call in log.appends)

    async def test_an_outage_is_told_to_everybody_and_the_next_ones_are_served(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """Nothing remains broken when the log is back."""
        log.error = LogUnavailable("away")
        told = await asyncio.gather(
            *(appender.append(record(), started=clock.monotonic()) for _ in range(3)), return_exceptions=True
        )
        assert [LogUnavailable] * 3 == [type(error) for error in told]
        log.error = None
        await appender.append(record(value=b"later"), started=clock.monotonic())
        assert [b"later"] == await _values(log)

    async def test_a_record_that_can_never_be_appended_takes_no_other_along(
        self, clock: ManualClock, metrics: Metrics
    ) -> None:
        """Only its own caller is refused."""
        log = TestableLog(max_record_bytes=100)
        appender = Appender(log, clock=clock, metrics=metrics)
        appender.start()
        values = [b"1", b"2" * 200, b"3"]
        told = await asyncio.gather(
            *(appender.append(record(value=value), started=clock.monotonic()) for value in values),
            return_exceptions=True,
        )
        await appender.close()
        assert [type(None), RecordRefused, type(None)] == [type(error) for error in told]
        assert [b"1", b"3"] == await _values(log)

    async def test_a_caller_waits_no_longer_than_its_budget(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """The budget counts from the start of the request, however long reading it took."""
        log.gate.clear()
        with pytest.raises(LogUnavailable):
            await appender.append(record(), started=clock.monotonic() - BUDGET_S + 0.01)
        with pytest.raises(LogUnavailable):
            await appender.append(record(), started=clock.monotonic() - BUDGET_S)
        assert 1 == len(log.appends)

    async def test_what_nobody_waits_for_any_more_is_not_written(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """A click whose caller was told that it may be lost does not queue up behind an outage."""
        log.gate.clear()
        first = asyncio.create_task(appender.append(record(value=b"1"), started=clock.monotonic()))
        await _until_appending(log)
        with pytest.raises(LogUnavailable):
            await appender.append(record(value=b"2"), started=clock.monotonic() - BUDGET_S + 0.01)
        log.gate.set()
        await first
        await appender.append(record(value=b"3"), started=clock.monotonic())
        assert [b"1", b"3"] == await _values(log)

    async def test_beyond_the_bound_callers_are_told_at_once(
        self, appender: Appender, log: TestableLog, clock: ManualClock, metrics: Metrics
    ) -> None:
        """Memory is bounded too."""
        log.gate.clear()
        tasks = [asyncio.create_task(appender.append(record(), started=clock.monotonic())) for _ in range(MAX_WAITING)]
        await _until_appending(log)
        assert MAX_WAITING == metrics.value(APPENDS_IN_FLIGHT)
        with pytest.raises(LogUnavailable):
            await appender.append(record(), started=clock.monotonic())
        log.gate.set()
        await asyncio.gather(*tasks)
        assert 0 == metrics.value(APPENDS_IN_FLIGHT)

    async def test_a_log_that_never_answers_is_not_the_end(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """A hanging append is given up, and the next caller is served."""
        log.gate.clear()
        with pytest.raises(LogUnavailable):
            await appender.append(record(value=b"hangs"), started=clock.monotonic())
        log.gate.set()
        await appender.append(record(value=b"served"), started=clock.monotonic())
        assert [b"served"] == await _values(log)

    async def test_whatever_a_back_end_raises_is_an_outage(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """A bug in one append does not end the writing."""
        log.error = KeyError("bug")
        with pytest.raises(LogUnavailable):
            await appender.append(record(), started=clock.monotonic())
        log.error = None
        await appender.append(record(), started=clock.monotonic())
        assert appender.is_alive()

    async def test_a_caller_that_leaves_disturbs_nobody(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """A cancelled request in the middle of a group."""
        log.gate.clear()
        tasks = [
            asyncio.create_task(appender.append(record(value=b"%d" % n), started=clock.monotonic())) for n in range(3)
        ]
        await _until_appending(log)
        tasks[1].cancel()
        await _settle()
        log.gate.set()
        await asyncio.gather(tasks[0], tasks[2])
        assert tasks[1].cancelled()


class TestMarks:
    """What becomes of marks."""

    async def test_marks_wait_for_each_other(self, appender: Appender, log: TestableLog, metrics: Metrics) -> None:
        """Marks alone share an append."""
        for n in range(5):
            appender.mark(record(value=b"%d" % n))
        await _until_appending(log)
        await _settle()
        assert [5] == [len(call) for call in log.appends]
        assert 5 == metrics.value(MARKS, "appended")

    async def test_a_click_takes_waiting_marks_along(
        self, appender: Appender, log: TestableLog, clock: ManualClock
    ) -> None:
        """One append for both, and the click does not wait for the marks' few milliseconds."""
        appender.mark(record(value=b"mark"))
        await appender.append(record(value=b"click"), started=clock.monotonic())
        assert [[b"click", b"mark"]] == [[sent.value for sent in call] for call in log.appends]

    async def test_marks_outlast_an_outage_in_order(
        self, appender: Appender, log: TestableLog, metrics: Metrics
    ) -> None:
        """They are tried again, older ones first."""
        log.error = LogUnavailable("away")
        appender.mark(record(value=b"1"))
        await _until_appending(log)
        await _settle()
        appender.mark(record(value=b"2"))
        log.error = None
        await _until_appending(log, 2)
        await _settle()
        assert [b"1", b"2"] == await _values(log)
        assert (2, 0) == (metrics.value(MARKS, "appended"), metrics.value(MARKS, "lost"))

    async def test_beyond_the_bound_the_oldest_marks_are_given_up(
        self, log: TestableLog, clock: ManualClock, metrics: Metrics
    ) -> None:
        """An outage does not fill the memory."""
        appender = Appender(log, clock=clock, metrics=metrics)
        for n in range(MAX_MARKS + 3):
            appender.mark(record(value=b"%d" % n))
        appender.start()
        await appender.close()
        assert 3 == metrics.value(MARKS, "lost")
        assert [b"%d" % n for n in range(3, MAX_MARKS + 3)] == await _values(log)

    async def test_a_mark_that_can_never_be_appended_takes_no_click_along(
        self, clock: ManualClock, metrics: Metrics
    ) -> None:
        """The click is durable, the mark is counted as lost."""
        log = TestableLog(max_record_bytes=100)
        appender = Appender(log, clock=clock, metrics=metrics)
        appender.start()
        appender.mark(record(value=b"m" * 200))
        await appender.append(record(value=b"click"), started=clock.monotonic())
        await appender.close()
        assert [b"click"] == await _values(log)
        assert 1 == metrics.value(MARKS, "lost")


class TestClose:
    """The end of a process."""

    async def test_closing_flushes_marks(self, log: TestableLog, clock: ManualClock, metrics: Metrics) -> None:
        """What was answered gets its mark."""
        appender = Appender(log, clock=clock, metrics=metrics)
        appender.start()
        for n in range(1000):
            appender.mark(record(value=b"%d" % n))
        await appender.close()
        assert 1000 == len(await _values(log))

    async def test_closing_takes_no_longer_than_it_may(
        self, log: TestableLog, clock: ManualClock, metrics: Metrics
    ) -> None:
        """With the log away, the marks are lost and counted."""
        log.gate.clear()
        appender = Appender(log, clock=clock, metrics=metrics)
        appender.start()
        appender.mark(record())
        await _until_appending(log)
        appender.mark(record())
        await appender.close(within_s=0.01)
        assert 2 == metrics.value(MARKS, "lost")
        assert not appender.is_alive()

    async def test_closing_with_a_log_that_refuses_does_not_go_on_for_ever(
        self, log: TestableLog, clock: ManualClock, metrics: Metrics
    ) -> None:
        """At the end there is one try."""
        log.error = LogUnavailable("away")
        appender = Appender(log, clock=clock, metrics=metrics)
        appender.start()
        appender.mark(record())
        await appender.close()
        assert 1 == metrics.value(MARKS, "lost")

    async def test_after_closing_nothing_is_taken(self, log: TestableLog, clock: ManualClock, metrics: Metrics) -> None:
        """A late request is told honestly."""
        appender = Appender(log, clock=clock, metrics=metrics)
        appender.start()
        await appender.close()
        with pytest.raises(LogUnavailable):
            await appender.append(record(), started=clock.monotonic())

    async def test_its_end_is_noticed(self, log: TestableLog, clock: ManualClock, metrics: Metrics) -> None:
        """A process whose writer has ended knows; one that was stopped before has no error."""
        appender = Appender(log, clock=clock, metrics=metrics)
        never = asyncio.create_task(asyncio.Event().wait())
        assert await appender.failed(unless=never) is None
        appender.start()
        await appender.close()
        assert await appender.failed(unless=never) is None
        never.cancel()


def test_the_budget_leaves_time_for_an_answer() -> None:
    """The platform waits 3 s; an append that hangs is given up before that too."""
    assert BUDGET_S < append.STUCK_S < 3
