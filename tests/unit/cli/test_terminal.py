"""What commands print for people, on a terminal or into a pipe."""

from pathlib import Path

import pytest
from rich.table import Table

from cardwire.cli.terminal import console
from cardwire.cli.texts import plain, time_text


def test_every_command_prints_by_it() -> None:
    """A console of a command's own would be 80 columns wide in a pipe."""
    folder = Path(__file__).parents[3] / "cardwire"
    makers = [
        path.name for path in folder.rglob("*.py") if "Console(" in path.read_text().replace("Console(stderr=", "")
    ]
    assert ["terminal.py"] == makers


@pytest.mark.parametrize("columns", [None, "40"])
def test_a_table_into_a_pipe_is_a_line_for_each_row(
    columns: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither wrapped nor cut, whatever the width of a terminal that somebody has elsewhere."""
    monkeypatch.delenv("COLUMNS", raising=False) if columns is None else monkeypatch.setenv("COLUMNS", columns)
    table = Table("what", "reason", box=None, pad_edge=False)
    table.add_row("follow_up", "why it failed, told at length: " + "word " * 50)
    table.add_row("om_" + "1" * 300, "short")
    console().print(table)
    console().print("a sentence " * 30)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert 4 == len(lines)
    assert lines[1].startswith("follow_up ")
    assert lines[1].endswith("word " * 49 + "word")
    assert ("om_" + "1" * 300, "short") == tuple(lines[2].split())


def test_nothing_that_came_from_outside_steers_a_terminal() -> None:
    """What cannot be printed is shown as such, and everything else as it is."""
    assert "\N{REPLACEMENT CHARACTER}[2Jгруппа 群\N{REPLACEMENT CHARACTER}" == plain("\x1b[2Jгруппа 群\n")


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01 00:00:00.000Z"),
        (1_750_000_000_250, "2025-06-15 15:06:40.250Z"),
        (-1, "1969-12-31 23:59:59.999Z"),
        (2**62, str(2**62)),
        (-(2**62), str(-(2**62))),
    ],
)
def test_any_time_can_be_shown(at: int, text: str) -> None:
    """A signed callback may claim one that no calendar has."""
    assert text == time_text(at)
