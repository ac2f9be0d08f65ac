"""
How a command ends when it cannot do what it was asked.

One line on standard error for each problem, and an exit code: 2 where a setting must change first, 1 where something
outside is not as it must be (a service away, a port taken, histories that differ). Nobody sees a traceback for what
they can mend themselves.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shared.core.errors import CardwireError, ConfigError

OUTSIDE: Final = 1
SETTINGS: Final = 2


@contextmanager
def told_in_lines() -> Iterator[None]:
    """Turn the errors that are meant for people into lines and an exit code; let all others through."""
    try:
        yield
    except (CardwireError, OSError, ExceptionGroup) as error:
        told = _for_people(error)
        if told is None:
            raise
        for line in dict.fromkeys(line for one in told for line in str(one).splitlines()):
            sys.stderr.write(f"cardwire: {line}\n")
        raise SystemExit(SETTINGS if any(isinstance(one, ConfigError) for one in told) else OUTSIDE) from error


def _for_people(error: BaseException) -> list[BaseException] | None:
    """Return the errors of ours that make up ``error``, or ``None`` if anything else is among them."""
    match error:
        case CardwireError():
            return [error]
        case OSError() if error.filename is not None or error.errno is not None:
            return [error]
        case BaseExceptionGroup():
            parts = [_for_people(one) for one in error.exceptions]
            return None if None in parts else [one for part in parts if part is not None for one in part]
        case _:
            return None
