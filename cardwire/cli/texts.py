"""Texts as they are shown: nothing in them moves a cursor, and a time is one that people read (pure)."""

from datetime import UTC, datetime, timedelta
from typing import Final

from shared.core.json_text import EpochMs

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def plain(text: str) -> str:
    """Return text with nothing in it that moves a cursor or changes a colour."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def time_text(at: EpochMs) -> str:
    """Return a time as ``2026-01-31 09:30:00.250Z``; one that no calendar has, as the number it is."""
    try:
        return f"{(_EPOCH + timedelta(milliseconds=at)):%Y-%m-%d %H:%M:%S}.{at % 1000:03}Z"
    except OverflowError:
        return str(at)  # A signed callback may claim any time.
