"""A log folded piece by piece, as a rebuild does it, is the log folded at once."""

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from shared.core.codec import encode
from shared.core.events import Output
from shared.core.fold import fold
from shared.core.folded import Folded
from shared.eventlog.port import Record
from tests.property.test_fold import decided, outcomes
from tests.support.facts import NOW
from worker.ledger.restored import Changes, Touched
from worker.rebuilding.outcomes import folded, read, touched

VERSIONS = 6


class Store:
    """What a database does for a rebuild, in memory: rows that were asked for, and rows that changed."""

    def __init__(self) -> None:
        self.rows = Folded()

    def known(self, wanted: Touched) -> Folded:
        """Return the rows that there are, of those that are wanted."""
        found = Folded()
        for name in (each.name for each in fields(Folded)):
            rows = getattr(self.rows, name)
            getattr(found, name).update({key: rows[key] for key in getattr(wanted, name) if key in rows})
        return found

    def store(self, changes: Changes) -> None:
        """Take changes in."""
        for name in ("claims", "cards", "faces", "tokens", "letters"):
            getattr(self.rows, name).update(getattr(changes, name))
        self.rows.effects.update(changes.planned)
        self.rows.effects.update(changes.standings)
        for key in changes.lifted:
            del self.rows.letters[key]


def told() -> list[Output]:
    """Return a card's story in the order in which it is told."""
    story: list[Output] = []
    for version in range(1, VERSIONS + 1):
        story += [decided(version), *outcomes(version)]
    return story


@given(
    cuts=st.lists(st.integers(min_value=1, max_value=7), min_size=1),
    again=st.lists(st.tuples(st.integers(min_value=0), st.integers(min_value=1, max_value=6)), max_size=5),
)
def test_pieces_and_repetitions_make_no_difference(cuts: list[int], again: list[tuple[int, int]]) -> None:
    """However the log is cut; a relay that died told some of it twice."""
    story = told()
    for at, length in again:
        first = at % len(story)
        end = min(len(story), first + length)
        story[end:end] = story[first:end]  # right behind what was told first
    store, left, turn = Store(), [_record(output) for output in story], 0
    while left:
        size = cuts[turn % len(cuts)]
        piece, left, turn = read(left[:size]), left[size:], turn + 1
        store.store(folded(piece, store.known(touched(piece.outputs)), NOW))
    assert fold(told()) == store.rows


def _record(output: Output) -> Record:
    made = encode(output)
    return Record(
        topic="outcomes", partition=0, offset=0, key=made.key, value=made.value, headers=made.headers,
        timestamp=made.timestamp,
    )  # fmt: skip
