"""
Keep aiokafka's log lines few and clean.

While brokers are away aiokafka repeats itself, up to thousands of lines a second; and at level DEBUG it writes keys,
values and requests, which hold people's data. So a line passes at most once in a while, and DEBUG never.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 10.0


class Seldom(logging.Filter):
    """Lets one line of each template pass per ``every_s``, with the number of those held back since."""

    def __init__(self, every_s: float = EVERY_S, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._monotonic = monotonic
        self._seen: dict[tuple[str, object], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO:
            return False
        which = record.name, record.msg
        passed_at, held_back = self._seen.get(which, (float("-inf"), 0))
        now = self._monotonic()
        if now - passed_at < self._every_s:
            self._seen[which] = passed_at, held_back + 1
            return False
        self._seen[which] = now, 0
        if held_back:
            record.msg = f"{record.msg} (and {held_back} more like it)"
        return True


_SELDOM: Final = Seldom()


def quiet_aiokafka() -> None:
    """Put the filter on aiokafka's loggers; again is harmless. A filter does not reach child loggers by itself."""
    for name in tuple(logging.root.manager.loggerDict):
        if name == "aiokafka" or name.startswith("aiokafka."):
            logging.getLogger(name).addFilter(_SELDOM)
