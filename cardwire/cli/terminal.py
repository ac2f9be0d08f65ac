"""What a command prints for people: on a terminal, or into a pipe or file, where nothing is wrapped or cut."""

import sys
from typing import Final

from rich.console import Console

_ENDLESS: Final = 1_000_000
"""Columns of what is no terminal: a line there is for grep and awk, which know no width."""


def console() -> Console:
    """Return where a command prints what is for people: as wide as the terminal is, or without an end."""
    # Without a terminal, rich would take 80 columns for the width, or what COLUMNS says of a terminal elsewhere.
    return Console(highlight=False, width=None if sys.stdout.isatty() else _ENDLESS)
