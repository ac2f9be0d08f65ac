"""Whatever log and disk do and whenever a gateway ends: nothing accepted is lost, every card keeps its order."""

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.core.errors import LogUnavailable
from shared.eventlog.sqlite.file import Disk
from tests.support.spilling import Mood, UnreliableLog, Way, a_way, row, spills_in, until

CARDS = ("om_1", "om_2", "om_3")

Step = tuple[str, object]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("click"), st.sampled_from(CARDS)),
        st.tuples(st.just("click"), st.sampled_from(CARDS)),
        st.tuples(st.just("mood"), st.sampled_from(get_args(Mood))),
        st.tuples(st.just("once"), st.sampled_from(get_args(Mood))),
        st.tuples(st.just("wait"), st.sampled_from((0.0, 0.002, 0.02, 0.06))),
        st.tuples(st.just("late"), st.none()),
        st.tuples(st.just("free"), st.sampled_from((0, 1 << 20, 1 << 30))),
        st.tuples(st.just("end"), st.sampled_from((0.0, 2.0))),
    ),
    max_size=40,
)


@dataclass(kw_only=True)
class Room:
    """How many bytes the disk has free: none, enough to delete, or more than enough."""

    free: int = 1 << 30

    def disk(self) -> Disk:
        """Return the disk."""
        return Disk(free=lambda: self.free)


class People:
    """Clicks, and what became of them: each value tells its card, its gateway and its number; marks end in ``!``."""

    def __init__(self) -> None:
        self.accepted: set[bytes] = set()
        self._numbers = itertools.count()
        self._under_way: set[asyncio.Task[None]] = set()

    def click(self, way: Way, card: str, gateway: int) -> None:
        """Click, and wait for no answer."""
        value = f"{card} {gateway} {next(self._numbers):06}".encode()
        task = asyncio.create_task(self._click(way, card, value))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def answered(self) -> None:
        """Wait until everybody has an answer."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=5)
        assert not self._under_way

    async def _click(self, way: Way, card: str, value: bytes) -> None:
        try:
            await way.append(value, card=card)
        except LogUnavailable:
            return
        self.accepted.add(value)
        way.appender.mark(row(value + b"!", card=card))


async def _play(script: Sequence[Step], folder: Path) -> None:
    log, people, room = UnreliableLog(), People(), Room()
    left = list(script)
    for gateway in itertools.count():
        flush_s = await _one_gateway(gateway, left, log, people, folder=folder, room=room)
        # Of what was under way at an abrupt end nobody can know; nor, on a full disk, of what had been forwarded.
        calls = log.calls[-3:] if room.free else log.calls
        log.doubtful |= {record.value for call in calls for record in call}
        if flush_s is None:
            break
    await _recovered(log, folder, room)
    await _judge(log, people)


async def _one_gateway(
    number: int, left: list[Step], log: UnreliableLog, people: People, *, folder: Path, room: Room
) -> float | None:
    """Run one gateway until the script ends it, and return how; ``None`` at the end of the script."""
    flush_s = 2.0
    async with a_way(log, folder, flush_s=0.0, disk=room.disk()) as way:
        while left:
            match left.pop(0):
                case ("click", str(card)):
                    people.click(way, card, number)
                case ("mood", mood):
                    log.mood = mood  # type: ignore[assignment]  # sampled from the moods
                case ("once", mood):
                    log.next_moods.append(mood)  # type: ignore[arg-type]  # likewise
                case ("wait", float(seconds)):
                    await asyncio.sleep(seconds)
                case ("free", int(free)):
                    room.free = free
                case ("late", _):
                    await log.deliver_late()
                case ("end", float(flush_s)):
                    await way.appender.close(within_s=flush_s)
                    return flush_s
                case step:
                    raise AssertionError(step)
        await people.answered()
    return None


async def _recovered(log: UnreliableLog, folder: Path, room: Room) -> None:
    """Let the log be well, and the next gateway clear up, however much room there is."""
    log.mood = "well"
    log.next_moods.clear()
    log.released.set()
    async with a_way(log, folder, disk=room.disk()) as way:
        await until(lambda: len(spills_in(folder)) == 1)
        await way.append(b"om_1 9999 000000")
        assert not way.detour.is_open
    assert [] == spills_in(folder)
    await log.deliver_late()


async def _judge(log: UnreliableLog, people: People) -> None:
    values = await log.values()
    assert set() == people.accepted - set(values)
    repeated = {value for value, count in Counter(values).items() if count > 1}
    assert set() == repeated - log.doubtful
    first_deliveries = list(dict.fromkeys(values))
    clicks = [value for value in first_deliveries if not value.endswith(b"!")]
    for stream in {value.rpartition(b" ")[0] for value in clicks}:
        of_card = [value for value in clicks if value.startswith(stream + b" ")]
        assert sorted(of_card) == of_card
    place = {value: n for n, value in enumerate(first_deliveries)}
    assert [] == [value for value in place if value.endswith(b"!") and place[value[:-1]] > place[value]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps)
def test_nothing_accepted_is_lost_and_no_card_is_reordered(script: list[Step]) -> None:
    """A schedule of clicks, moods, late deliveries and ends: first deliveries are in order for each card."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(script, Path(folder)))
