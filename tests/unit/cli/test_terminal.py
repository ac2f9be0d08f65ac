"""What a terminal is shown of what came from outside."""

import pytest

from cardwire.cli.terminal import plain, time_text


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
