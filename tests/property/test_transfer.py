"""A log in files: nothing is changed on the way there and back, wherever a crash cuts it off."""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import TOPICS, NewRecord, Record
from tests.support.transfers import bring, export, held
from worker.transfer.comparing import Comparison
from worker.transfer.digest import Chain, canonical, fingerprint
from worker.transfer.growing import Growing
from worker.transfer.line import line_of, lines_of
from worker.transfer.manifest import Part

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
headers = st.lists(st.tuples(text, st.binary(max_size=20)), max_size=4).map(tuple)
records = st.builds(
    Record,
    topic=st.just("t"),
    partition=st.just(0),
    offset=st.integers(0, 2**63 - 1),
    key=text,
    value=st.binary(max_size=60),
    headers=headers,
    timestamp=st.integers(0, 2**63 - 1),
)


def _numbered(many: Sequence[Record]) -> list[Record]:
    return [
        Record(
            topic=one.topic, partition=one.partition, offset=2 * at, key=one.key, value=one.value,
            headers=one.headers, timestamp=one.timestamp,
        )
        for at, one in enumerate(many)
    ]  # fmt: skip


@settings(deadline=None)
@given(st.lists(records, max_size=5))
def test_lines_give_back_what_they_were_made_of(many: list[Record]) -> None:
    """Any bytes in values and headers, any text in keys and names; order and duplicates too."""
    found = list(lines_of(b"".join(map(line_of, many))))
    assert [(one.offset, one.timestamp, one.key, one.headers, one.value) for one in many] == [
        (line.offset, record.timestamp, record.key, record.headers, record.value)
        for line, record in ((line, line.to("t")) for line in found)
    ]


@settings(deadline=None)
@given(records, records)
def test_other_records_have_other_bytes(one: Record, other: Record) -> None:
    """Nothing can be moved from a key to a header, or from one header to the next, without being seen."""
    same = (one.key, one.headers, one.value) == (other.key, other.headers, other.value)
    bytes_of = [canonical(each.key, each.headers, each.value) for each in (one, other)]
    assert same == (bytes_of[0] == bytes_of[1])


@settings(deadline=None)
@given(st.lists(records, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_a_digest_sees_the_order(many: list[Record], chance: random.Random) -> None:
    """The same records in another order are another partition."""
    mixed = chance.sample(many, len(many))
    assert (list(map(fingerprint, many)) == list(map(fingerprint, mixed))) == (_digest(many) == _digest(mixed))


def _digest(many: Sequence[Record]) -> bytes:
    chain = Chain()
    for one in many:
        chain.add(fingerprint(one))
    return chain.digest


@settings(max_examples=50, deadline=None)
@given(st.lists(records, min_size=1, max_size=12), st.integers(1, 4), st.floats(0, 1), st.binary(max_size=40))
def test_a_file_that_was_cut_anywhere_goes_on(many: list[Record], frames: int, share: float, garbage: bytes) -> None:
    """Whatever is left of it, and whatever stands behind that: what is added afterwards makes it whole."""
    many = _numbered(many)
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        expected = _grown(whole, Part(partition=0, begin=0, end=0), many, frames=frames)
        cut.write_bytes(whole.read_bytes()[: round(share * expected.bytes)] + garbage)
        file = Growing(cut, Part(partition=0, begin=0, end=0))
        file.add([one for one in many if one.offset >= file.part.end])
        found = file.finish(expected.end)
        file.close()
        assert cut.stat().st_size == found.bytes
    assert (expected.records, expected.sha256, expected.begin, expected.end, expected.last) == (
        found.records, found.sha256, found.begin, found.end, found.last,
    )  # fmt: skip


def _grown(path: Path, part: Part, many: Sequence[Record], *, frames: int) -> Part:
    """Return a partition whose file has several frames, as those of several exports have."""
    size = -(-len(many) // frames)
    for at in range(0, len(many), size):
        file = Growing(path, part)
        file.add(many[at : at + size])
        part = file.finish(0)
        file.close()
    return part


@settings(deadline=None)
@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_repetitions_are_known_as_such(many: list[Record], data: st.DataObject) -> None:
    """An append that nobody acknowledged may stand there again, behind or amid what followed it."""
    many, held_there = _numbered(many), []
    for at, one in enumerate(many):
        held_there.append(one)
        begin = data.draw(st.integers(0, at + 1))
        held_there += many[begin : at + 1]
    comparison = Comparison(iter([_new(one) for one in many]))
    for one in held_there:
        comparison.see(one)
    assert (len(many), _digest(many)) == (comparison.found.records, comparison.found.digest)
    assert len(held_there) - len(many) == comparison.repeated
    assert [] == list(comparison.rest())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(text, headers, st.binary(max_size=60)), max_size=20))
def test_a_log_is_the_same_after_its_journey(many: list[tuple[str, tuple[tuple[str, bytes], ...], bytes]]) -> None:
    """Out of one log, into files, into another: every partition holds the same records in the same order."""

    async def journey() -> None:
        source, target = MemoryLog(), MemoryLog()
        await source.create([TOPICS.interactions, TOPICS.outcomes, TOPICS.dead])
        await source.append(
            [
                NewRecord(topic=TOPICS.interactions, key=key, headers=headers, value=value, timestamp=1)
                for key, headers, value in many
            ]
        )
        with tempfile.TemporaryDirectory() as folder:
            await export(source, TOPICS, Path(folder, "out"))
            await bring(target, TOPICS, Path(folder, "out"))
        assert await held(source, TOPICS) == await held(target, TOPICS)

    asyncio.run(journey())


def _new(record: Record) -> NewRecord:
    return NewRecord(topic="t", key=record.key, value=record.value, headers=record.headers, timestamp=record.timestamp)
