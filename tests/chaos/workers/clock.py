"""
The command line of a machine whose wall clock is wrong.

``python -m tests.chaos.workers.clock SECONDS COMMAND …``: SECONDS ahead of the right time, or behind if negative. No
setting does this: everything that the process imports afterwards, ours and others', asks `time` and is told wrong.
"""

import sys
import time
from collections.abc import Callable


def shift(ahead_s: float) -> None:
    """Set the wall clock of this process wrong; how fast time goes stays as it is."""
    ahead_ns = round(ahead_s * 1_000_000_000)
    right_ns: Callable[[], int] = time.time_ns
    time.time_ns = lambda: right_ns() + ahead_ns
    time.time = lambda: time.time_ns() / 1_000_000_000


def main() -> None:
    """Set the clock and run the command."""
    _, ahead_s, *command = sys.argv
    shift(float(ahead_s))

    from cardwire.cli import main as run  # noqa: PLC0415 - what is imported before the shift could keep the right time

    sys.argv = ["cardwire", *command]
    run()


if __name__ == "__main__":
    main()
