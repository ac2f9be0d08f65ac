import asyncio
import errno
import os
from typing import Any

from structlog.testing import capture_logs

from gateway.listening.starved import Starved
from shared.clock import ManualClock


def _refused(number: int = errno.EMFILE) -> dict[str, Any]:
    return {"message": "no more", "exception": OSError(number, os.strerror(number)), "socket": object()}


async def test_connections_that_cannot_be_accepted_are_told_once_in_a_while() -> None:
    """A thousand times in a second is what asyncio would say."""
    clock, loop = ManualClock(), asyncio.get_running_loop()
    starved = Starved(clock, every_s=10)
    with capture_logs() as lines:
        for _ in range(1000):
            starved(loop, _refused())
        clock.advance(9.9)
        starved(loop, _refused(errno.ENFILE))
        clock.advance(0.1)
        starved(loop, _refused(errno.ENFILE))
    told = [(line["event"], line["error"]) for line in lines]
    assert [("connections_wait", "EMFILE"), ("connections_wait", "ENFILE")] == told


async def test_other_errors_of_the_loop_are_told_as_ever() -> None:
    """Only what repeats itself without end is held back."""
    loop, others = asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(lambda _, context: others.append(context["message"]))
    Starved(ManualClock()).watch(loop)
    loop.call_exception_handler({"message": "bug", "exception": ValueError()})
    loop.call_exception_handler({"message": "no file", "exception": OSError(errno.EMFILE, "x")})
    loop.call_exception_handler({"message": "reset", "exception": OSError(errno.ECONNRESET, "x"), "socket": 1})
    loop.call_exception_handler({"message": "nothing else"})
    assert ["bug", "no file", "reset", "nothing else"] == others
