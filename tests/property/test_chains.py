"""However often something comes back and is done again, its id is short, its own, and tells where it began."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.core.events import fired_event_id, origin_of, returned_event_id, sends_a_successor
from shared.core.events.returning import CHAIN_CHARS
from shared.core.ids import EventId

ORIGINS = st.sampled_from(["5e3702a84e847582be8db7fb73283c02", "req/alerts/2026-11-21/7", "req/worker/e1/2", "ü" * 40])
STEPS = st.lists(st.tuples(st.integers(1, 1023), st.booleans()), min_size=1, max_size=60)


def ids(origin: str, steps: list[tuple[int, bool]]) -> list[EventId]:
    """Return the ids of what came back, one after the other."""
    found = [EventId(origin)]
    for index, is_timer in steps:
        found.append((fired_event_id if is_timer else returned_event_id)(found[-1], index))
    return found


@given(ORIGINS, STEPS)
def test_ids_of_a_chain_are_bounded_and_know_their_origin(origin: str, steps: list[tuple[int, bool]]) -> None:
    """A year of daily reminders has no longer ids than a month."""
    chain = ids(origin, steps)
    assert {origin} == {origin_of(one) for one in chain}
    assert max(map(len, chain)) <= len(origin) + CHAIN_CHARS
    assert len(chain) == len(set(chain))
    assert not any(sends_a_successor(one) for one in chain)


@given(ORIGINS, STEPS)
def test_a_short_way_is_told_as_it_was(origin: str, steps: list[tuple[int, bool]]) -> None:
    """Records that lie in logs and ledgers keep their ids."""
    whole = origin
    for (index, is_timer), (_, after) in zip(steps, pairwise(ids(origin, steps)), strict=True):
        whole = f"{whole}/{index}/{'fired' if is_timer else 'returned'}"
        assert (len(whole) - len(origin) <= CHAIN_CHARS) == (whole == after)


@given(ORIGINS, STEPS, st.integers(0, 59))
def test_ways_that_differ_anywhere_have_different_ids(origin: str, steps: list[tuple[int, bool]], at: int) -> None:
    """Also long behind the place where they parted."""
    place = at % len(steps)
    index, is_timer = steps[place]
    others = [*steps[:place], (index, not is_timer), *steps[place + 1 :]]
    assert ids(origin, steps)[-1] != ids(origin, others)[-1]
