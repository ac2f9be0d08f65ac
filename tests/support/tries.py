"""Tests that need a machine with time for them: what else it does can only make a try worse, so the best one counts."""

from collections.abc import Awaitable, Callable

TRIES = 3


class TooSlow(AssertionError):
    """Something was right and came too late; a wrong result is an ordinary failure, and ends the tries."""


async def best_of(attempt: Callable[[int], Awaitable[None]]) -> None:
    """Try up to three times, numbered from 0, for as long as a try is only `TooSlow`."""
    for number in range(TRIES - 1):
        try:
            await attempt(number)
        except TooSlow:
            continue
        return
    await attempt(TRIES - 1)


def in_time(*, holds: bool, what: object) -> None:
    """Demand what depends on how much time the machine gives. Raises `TooSlow`."""
    if not holds:
        raise TooSlow(what)
