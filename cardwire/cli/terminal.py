"""What a command prints for people: on a terminal, or into a pipe or file, where nothing is wrapped or cut."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.console import Console

from shared.core.json_text import EpochMs

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ENDLESS: Final = 1_000_000
"""Columns of what is no terminal: a line there is for grep and awk, which know no width."""


def console() -> Console:
    """Return where a command prints what is for people: as wide as the terminal is, or without an end."""
    # Without a terminal, rich would take 80 columns for the width, or what COLUMNS says of a terminal elsewhere.
    return Console(highlight=False, width=None if sys.stdout.isatty() else _ENDLESS)


def plain(text: str) -> str:
    """Return text with nothing in it that moves a cursor or changes a colour."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def time_text(at: EpochMs) -> str:
    """Return a time as ``2026-01-31 09:30:00.250Z``; one that no calendar has, as the number it is."""
    try:
        return f"{(_EPOCH + timedelta(milliseconds=at)):%Y-%m-%d %H:%M:%S}.{at % 1000:03}Z"
    except OverflowError:
        return str(at)  # A signed callback may claim any time.
