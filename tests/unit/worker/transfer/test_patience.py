"""Waiting for a log that is away."""

import pytest

from shared.core.errors import LogUnavailable
from tests.support.transfers import QuickClock
from worker.transfer.patience import Patience


async def test_pauses_grow_and_end() -> None:
    """From half a second to a quarter of a minute, five minutes in all."""
    clock, lines = QuickClock(), list[str]()
    patience, begun = Patience(clock, tell=lines.append), clock.monotonic()

    async def away() -> None:
        raise LogUnavailable("away")

    with pytest.raises(LogUnavailable, match="away"):
        await patience.ask(away)
    pauses = [float(line.split()[-2]) for line in lines]
    assert [0.5, 1.0, 2.0, 4.0, 8.0, 15.0] == pauses[:6]
    assert 285 <= clock.monotonic() - begun <= 300


async def test_an_answer_makes_it_patient_again() -> None:
    """Outages do not add up."""
    clock, lines, answers = QuickClock(), list[str](), iter([False, True] * 400)
    patience = Patience(clock, tell=lines.append)

    async def sometimes() -> str:
        if not next(answers):
            raise LogUnavailable("away")
        return "there"

    assert {"there"} == {await patience.ask(sometimes) for _ in range(400)}
    assert ["away: trying again in 0.5 s"] * 400 == lines
