"""Log lines as a process of ours writes them, in a test."""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from shared.observability import configure_logs, flush_logs, release_logs


class Stream(io.StringIO):
    """What was logged, up to the moment when it is asked for."""

    def getvalue(self) -> str:
        """Return it."""
        flush_logs()
        return super().getvalue()


@contextmanager
def lines_at_debug(*, turned_up: Sequence[str] = ()) -> Iterator[io.StringIO]:
    """
    Yield what is logged meanwhile, as JSON lines, by our handler alone.

    Args:
        turned_up: Loggers of libraries that are made to say all that they can.
    """
    root = logging.getLogger()
    handlers, level, stream = root.handlers, root.level, Stream()
    levels = {name: logging.getLogger(name).level for name in turned_up}
    configure_logs("debug", "json", stream=stream)
    for name in turned_up:
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
        release_logs()
        root.handlers, root.level = handlers, level
