"""Facts are filed in any order, and read back in the order of their keys."""

from hypothesis import given
from hypothesis import strategies as st

from worker.history.verifying.facts import Mark
from worker.history.verifying.sorting import Scratch

_FILED = st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3), st.integers(0, 100)))


def _sorted(filed: list[tuple[str, int, int]], *, at_once: int) -> list[tuple[str, list[int]]]:
    scratch = Scratch()
    filing = scratch.filing("facts", Mark)
    for begin in range(0, len(filed), at_once):
        filing.file(
            (key, rank, Mark(partition=0, offset=number, delivered=True, answered_at=0))
            for key, rank, number in filed[begin : begin + at_once]
        )
    found = [(key, [mark.offset for mark in marks]) for key, marks in filing.groups()]
    scratch.close()
    return found


@given(_FILED)
def test_what_is_filed_is_read_back_by_key_and_rank(filed: list[tuple[str, int, int]]) -> None:
    """All of it, whatever the keys hold, in as many pieces as it takes."""
    expected = {
        key: sorted((rank, number) for of, rank, number in filed if of == key) for key in {key for key, _, _ in filed}
    }
    found = dict(_sorted(filed, at_once=2))
    assert sorted(expected, key=str.encode) == list(found)
    ranks = {key: [rank for rank, _ in told] for key, told in expected.items()}
    by_number = {(key, number): rank for key, rank, number in filed}
    for key, numbers in found.items():
        assert sorted(number for _, number in expected[key]) == sorted(numbers)
        if len({number for _, number in expected[key]}) == len(numbers):
            assert ranks[key] == [by_number[key, number] for number in numbers]


def test_two_files_do_not_meet() -> None:
    """One is read while the other is written, and dropped when it was read."""
    scratch = Scratch()
    first, second = scratch.filing("first", Mark), scratch.filing("second", Mark)
    first.file((str(number), 0, Mark(partition=0, offset=number, delivered=True, answered_at=0)) for number in range(9))
    for key, marks in first.groups():
        second.file((key, 0, mark) for mark in marks)
    first.drop()
    assert [str(number) for number in range(9)] == [key for key, _ in second.groups()]
    scratch.close()
