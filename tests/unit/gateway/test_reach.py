"""A log that is not there when the gateway starts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from gateway.reach import AGAIN_S, FIRST_S, telling
from shared.clock import ManualClock
from shared.core.errors import LogUnavailable


@dataclass
class FakeLog:
    """There or not, with a reason or without one."""

    is_there: bool
    found: Sequence[str] | Exception = ()

    async def ready(self) -> bool:
        return self.is_there

    async def differences(self, topics: Sequence[str]) -> Sequence[str]:
        if isinstance(self.found, Exception):
            raise self.found
        return [f"{topic}: {line}" for topic in topics for line in self.found]


async def settled() -> None:
    """Let tasks run until they wait for the clock."""
    for _ in range(20):
        await asyncio.sleep(0)


async def told(event_log: FakeLog, clock: ManualClock) -> None:
    """Start, and let the first time pass."""
    await settled()
    clock.advance(FIRST_S)
    await settled()


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (LogUnavailable("Kafka at k:9092 cannot be reached"), "Kafka at k:9092 cannot be reached"),
        (["missing (/data/log.db)"], "clicks: missing (/data/log.db)"),
        ([], "it takes no records"),
        (TimeoutError(), "it gave no answer in time"),
    ],
)
async def test_a_log_that_is_not_there_is_told_of_once_and_so_is_its_return(
    found: Sequence[str] | Exception, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason and the setting."""
    clock, event_log = ManualClock(), FakeLog(is_there=False, found=found)
    async with telling(event_log, "clicks", clock=clock):
        await told(event_log, clock)
        for _ in range(3):
            clock.advance(AGAIN_S)
            await settled()
        [line] = capsys.readouterr().out.splitlines()
        assert [True] * 3 == [part in line for part in ("log_away", reason, "CARDWIRE_LOG")]
        event_log.is_there = True
        clock.advance(AGAIN_S)
        await settled()
        [line] = capsys.readouterr().out.splitlines()
        assert "log_there" in line


async def test_nothing_is_said_of_a_log_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The ready line is enough."""
    clock, event_log = ManualClock(), FakeLog(is_there=True)
    async with telling(event_log, "clicks", clock=clock):
        await told(event_log, clock)
    assert capsys.readouterr().out == ""
