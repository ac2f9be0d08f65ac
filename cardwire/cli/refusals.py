"""
How a command ends when it cannot do what it was asked.

One line on standard error for each problem, and an exit code: 2 where a setting must change first, 1 where something
outside is not as it must be (a service away, a port taken, histories that differ). Nobody sees a traceback for what
they can mend themselves.
"""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO

from shared.core.errors import (
    CardwireError,
    ConfigError,
    LedgerRefused,
    LedgerUnavailable,
    LogRefused,
    LogUnavailable,
    StartRefused,
)
from shared.settings import ConfigWarning

OUTSIDE: Final = 1
SETTINGS: Final = 2

DATABASE: Final = "a database that answers, for example CARDWIRE_LEDGER=postgresql://cardwire:password@db:5432/cardwire"
BROKERS: Final = "a log that answers, for example CARDWIRE_LOG=kafka://kafka-1:9092,kafka-2:9092"


@contextmanager
def told_in_lines() -> Iterator[None]:
    """Turn the errors that are meant for people into lines and an exit code; let all others through."""
    try:
        yield
    except (CardwireError, OSError, ExceptionGroup) as error:
        told = _for_people(error)
        if told is None:
            raise
        for line in dict.fromkeys(line for one in told for line in _lines(one)):
            with going_on_if_broken(sys.stderr):
                sys.stderr.write(f"cardwire: {line}\n")
        raise SystemExit(SETTINGS if any(isinstance(one, ConfigError) for one in told) else OUTSIDE) from error


@contextmanager
def going_on_if_broken(stream: TextIO) -> Iterator[None]:
    """Go on where nothing can be printed; the stream then leads nowhere, or its rest would spoil the exit code."""
    try:
        yield
    except OSError:
        with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


def warn_in_lines() -> None:
    """Print warnings about settings as lines, too: where in our code they came from helps nobody."""
    standard = warnings.formatwarning

    def format_warning(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if issubclass(category, ConfigWarning):
            return f"cardwire: {message}\n"
        return standard(message, category, filename, lineno, line)

    warnings.formatwarning = format_warning


def only_our_lines() -> None:
    """Keep other libraries from telling, in their way, what a short command tells in one line."""
    logging.disable(logging.CRITICAL)


def _lines(error: BaseException) -> list[str]:
    from worker.ledger.port import SchemaMismatch

    match error:
        case ConfigError() | LogRefused() | LedgerRefused():
            return str(error).splitlines()
        case LedgerUnavailable():
            return [f"CARDWIRE_LEDGER: {_one_line(error)}: expected {DATABASE}"]
        case LogUnavailable():
            return [f"CARDWIRE_LOG: {_one_line(error)}: expected {BROKERS}"]
        case SchemaMismatch():
            return [f"CARDWIRE_LEDGER: {_one_line(error)}"]
        case StartRefused():
            return [f"CARDWIRE_LOG and CARDWIRE_LEDGER do not fit together: {_one_line(error)}"]
        case _:
            return [_one_line(error)]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


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
