"""A trace is taken over as it is, or not at all."""

import pytest

from shared.core.traceparent import deciding_span, valid_traceparent

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_is_taken_over() -> None:
    """As the specification's own example writes it."""
    assert GIVEN == valid_traceparent(GIVEN)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        GIVEN.upper(),
        GIVEN[:-1],
        f"{GIVEN}0",
        f"{GIVEN}-more",
        f" {GIVEN}",
        f"{GIVEN}\n",
        GIVEN.replace("00-4b", "ff-4b"),
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-４bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_what_is_no_trace_is_left_out(given: str | None) -> None:
    """A header may hold anything."""
    assert valid_traceparent(given) is None


def test_everybody_knows_the_span_in_which_an_event_is_decided() -> None:
    """In the same trace, the same each time, another for each event."""
    one = deciding_span(GIVEN, "e1")
    assert (GIVEN[:36], GIVEN[-3:]) == (one[:36], one[-3:])
    assert valid_traceparent(one) == one
    assert one == deciding_span(GIVEN, "e1") != deciding_span(GIVEN, "e2")
