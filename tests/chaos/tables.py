"""What the rows of a matrix were like, as a table for people, and where it stands."""

import platform
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from tests.chaos.checker import Violation

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reference" / "fault-matrix.md"


class Told(Protocol):
    """A row's history."""

    @property
    def row(self) -> str:
        """The row's name."""


def heading(columns: Sequence[str]) -> Sequence[str]:
    """Return the first two lines of a table."""
    return (f"| {' | '.join(columns)} |", "|---" * len(columns) + "|")


def said(history: Told, violations: Sequence[Violation], *, most: int = 10) -> Iterator[str]:
    """Yield a line for each violation, and say how many more there are."""
    for violation in violations[:most]:
        yield f"  {history.row}: {violation}"
    if len(violations) > most:
        yield f"  {history.row}: and {len(violations) - most} more"


def write(name: str, table: Sequence[str], load: str) -> None:
    """Put the table of a matrix into its place in the document."""
    seen = "\n".join((*table, "", f"{machine()}; load {load}.", ""))
    place = re.compile(rf"(?<=<!-- table: {name} -->\n).*?(?=<!-- end of table -->)", re.DOTALL)
    DOCUMENT.write_text(place.sub(lambda _: seen, DOCUMENT.read_text(), count=1))


def machine() -> str:
    """Return where and when the figures were seen."""
    cores = len(_processors())
    model = (_processors() or ["unknown processor"])[0]
    return f"{cores} × {model}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"


def _processors() -> Sequence[str]:
    path = Path("/proc/cpuinfo")
    return re.findall(r"^model name\s*: (.+)$", path.read_text(), re.MULTILINE) if path.exists() else []
