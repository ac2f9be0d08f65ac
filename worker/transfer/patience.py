"""Going on when the log comes back: what takes minutes shall not end because a broker was away for seconds."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from shared.clock import Clock
from shared.core.errors import LogRefused, LogUnavailable

FIRST_S: Final = 0.5
MOST_S: Final = 15.0
PATIENCE_S: Final = 300.0
"""After so long without an answer it is given up; the same command, given again, goes on."""

_Answer = TypeVar("_Answer")


class Patience:
    """
    Waits between attempts, longer each time, and says why.

    Args:
        tell: Is given a line each time.
    """

    def __init__(self, clock: Clock, *, tell: Callable[[str], None], patience_s: float = PATIENCE_S) -> None:
        self._clock = clock
        self._tell = tell
        self._patience_s = patience_s
        self._pause_s = FIRST_S
        self._until: float | None = None

    async def ask(self, question: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """
        Return the answer to a question that may be asked again.

        Raises:
            LogUnavailable: There was none for too long, or we are not let in.
        """
        while True:
            try:
                answer = await question()
            except LogUnavailable as error:
                await self.wait(error)
            else:
                self.calm()
                return answer

    async def wait(self, error: LogUnavailable) -> None:
        """Wait before the next attempt; raises ``error`` if there shall be none."""
        now = self._clock.monotonic()
        self._until = now + self._patience_s if self._until is None else self._until
        if isinstance(error, LogRefused) or now + self._pause_s > self._until:
            raise error
        self._tell(f"{error}: trying again in {self._pause_s:g} s")
        await self._clock.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, MOST_S)

    def calm(self) -> None:
        """Note that the log is there."""
        self._pause_s, self._until = FIRST_S, None
