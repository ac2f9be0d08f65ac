"""The documents as tests read them: code blocks, and the lines that people are promised to see."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
BAD_INPUT: Final = ROOT / "docs" / "reference" / "bad-input.md"

_SPAN: Final = re.compile(r"`` ?(.+?) ?``(?!`)|(?<!`)`([^`]+)`(?!`)")


def documented_lines() -> list[re.Pattern[str]]:
    """Return the lines of docs/reference/bad-input.md, second column, … standing for anything."""
    rows = [row for row in BAD_INPUT.read_text().splitlines() if row.startswith("| ")]
    lines = [span for row in rows for span in _spans(row.split(" | ")[1])]
    return [re.compile(".*".join(re.escape(part) for part in line.split("…"))) for line in lines]


def is_documented(line: str) -> bool:
    """Say whether a line that somebody saw stands in the documents."""
    return any(pattern.fullmatch(line) for pattern in documented_lines())


def _spans(cell: str) -> list[str]:
    return [two or one for two, one in _SPAN.findall(cell)]
