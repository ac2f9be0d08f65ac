"""Calls that wait for room look for it seldom, and are called up in their order."""

from shared.core.ids import AppId, Target
from worker.ledger.leased import TargetKey
from worker.performing.waiting import LONGEST_MS, MOST, ON_THE_WAY_S, ROUND_MS, Waiting

ROOM = 64


def key(number: int) -> TargetKey:
    """Return a target."""
    return TargetKey(AppId("cli_a"), Target(f"call:e{number}/1"))


def test_however_many_wait_few_of_them_look_for_room() -> None:
    """No more in a second than there is room for in two rounds, or the longest wait allows."""
    for number in (10, 500, 3_000):
        waiting = Waiting(ROOM)
        paces = [waiting.join(key(n)) for n in range(number)]
        looks = [sum(pace == first for pace in paces) for first in set(paces) if first < LONGEST_MS]
        assert max(looks) <= ROOM
        assert (ROUND_MS, max(paces)) == (paces[0], min(LONGEST_MS, ROUND_MS * (1 + number // ROOM)))


def test_they_are_called_up_in_the_order_in_which_they_came_and_no_more_than_there_is_room_for() -> None:
    """Those on the way count as if they were there; one that does not come was taken by another worker."""
    waiting = Waiting(ROOM)
    for number in range(100):
        waiting.join(key(number))
    assert [] == waiting.call_up(ROOM, 0)
    assert [key(0), key(1)] == waiting.call_up(ROOM - 2, 0)
    assert [] == waiting.call_up(ROOM - 2, 0.5)
    waiting.leave(key(0))
    assert [key(2)] == waiting.call_up(ROOM - 2, 0.5)
    assert [key(3), key(4)] == waiting.call_up(ROOM - 2, 0.5 + ON_THE_WAY_S)


def test_who_came_by_itself_is_not_called_up() -> None:
    """Its pace was over before its turn."""
    waiting = Waiting(ROOM)
    waiting.join(key(1))
    waiting.join(key(2))
    waiting.leave(key(1))
    assert [key(2)] == waiting.call_up(0, 0)
    assert [] == waiting.call_up(0, 9)


def test_no_more_are_remembered_than_memory_should_hold() -> None:
    """The others come by themselves."""
    waiting = Waiting(ROOM)
    for number in range(MOST + 10):
        assert waiting.join(key(number)) <= LONGEST_MS
    assert MOST == len(waiting)
