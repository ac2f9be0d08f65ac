"""Inputs and the decisions about them, brought together by their ids."""

from collections.abc import Sequence

import pytest

from shared.core.errors import NewerThanUs
from shared.core.events import Event
from shared.eventlog.port import Record
from tests.support.facts import click, mark, redrive
from tests.unit.worker.traveling.facts import decided, paired, pieces, records
from worker.traveling.pairs import Bounds, Pair, Pairs


def _ids(pairs: Sequence[Pair]) -> list[tuple[str | None, str | None]]:
    """Return of each pair the input's id, and that of the input that is decided."""
    return [
        (
            None if pair.record is None else dict(pair.record.headers)["ce_id"].decode(),
            None if pair.decided is None else pair.decided.event_id,
        )
        for pair in pairs
    ]


def _inputs(count: int) -> list[Event]:
    return [event for number in range(count) for event in (click(f"e{number}"), mark(click(f"e{number}")))]


async def test_each_decision_finds_its_input() -> None:
    """Marks are no inputs; where one topic is ahead of the other, nothing is lost."""
    inputs = records(_inputs(20))
    outcomes = records([decided(f"e{number}", offset=2 * number) for number in range(20)])
    found, pairs = await paired(inputs, outcomes)
    assert [(f"e{number}", f"e{number}") for number in range(20)] == _ids(found)
    assert 0 == pairs.duplicates


async def test_redrives_are_told_from_what_they_redrive() -> None:
    """An input that failed and was redriven twice has three decisions."""
    inputs = records([click("e1"), redrive("e1", 1), redrive("e1", 2)])
    outcomes = records([decided("e1", offset=n, redrive=n) for n in range(3)])
    found, _ = await paired(inputs, outcomes)
    assert [("e1", "e1"), ("e1/redrive/1", "e1"), ("e1/redrive/2", "e1")] == _ids(found)


async def test_decisions_that_were_told_twice_are_taken_once() -> None:
    """Outcomes are told at least once, in order for each card."""
    inputs = records([click("e1"), click("e2")])
    outcomes = records([decided("e1"), decided("e1"), decided("e2", offset=1), decided("e1"), decided("e2")])
    found, _ = await paired(inputs, outcomes)
    assert [("e1", "e1"), ("e2", "e2")] == _ids(found)


async def test_what_has_no_counterpart_is_told_apart() -> None:
    """A duplicate, an input without a decision, a decision whose input is gone."""
    inputs = records([click("e1"), click("e1"), click("e2"), click("e3"), click("e1")])
    outcomes = records([decided("e0"), decided("e1"), decided("e3", offset=3)])
    found, pairs = await paired(inputs, outcomes)
    assert [(None, "e0"), ("e1", "e1"), ("e3", "e3"), ("e2", None)] == _ids(found)
    assert 2 == pairs.duplicates


async def test_a_log_that_was_moved_has_other_offsets() -> None:
    """Ids join; the distance between the offsets is learnt."""
    inputs = records(_inputs(30), first=1_000_000)
    outcomes = records([decided(f"e{number}", offset=2 * number) for number in range(30) if number != 7], first=50)
    found, _ = await paired(inputs, outcomes)
    both = [(f"e{number}", f"e{number}") for number in range(30) if number != 7]
    assert (both, ("e7", None)) == (_ids(found)[:-1], _ids(found)[-1])


async def test_memory_is_bounded_whatever_is_missing() -> None:
    """Inputs of which no decision tells are passed by, and later ones are found all the same."""
    bounds = Bounds(ahead=10, behind=5, beyond=20, twice=10)
    inputs = records([click(f"e{number}") for number in range(200)])
    told = [number for number in range(200) if not 50 <= number < 120]
    outcomes = records([decided(f"e{number}", offset=number) for number in told])
    most, ids = 0, []
    walk = Pairs(pieces(inputs), pieces(outcomes), lambda _: None, bounds=bounds)
    async for piece in walk.pieces():
        ids += _ids(piece)
        most = max(most, walk.waiting)
    assert {(f"e{number}", f"e{number}") for number in told} <= set(ids)
    assert {(f"e{number}", None) for number in range(50, 120)} <= set(ids)
    assert most <= 10 + 3


async def test_a_lost_beginning_does_not_lead_astray() -> None:
    """Decisions whose inputs retention has deleted are followed by those whose inputs are there."""
    inputs = records([click(f"e{number}") for number in range(40, 100)], first=40)
    outcomes = records([decided(f"e{number}", offset=number) for number in range(100)])
    found, _ = await paired(inputs, outcomes, Bounds(ahead=10))
    assert [(None, f"e{number}") for number in range(40)] == _ids(found)[:40]
    assert [(f"e{number}", f"e{number}") for number in range(40, 100)] == _ids(found)[40:]


async def test_what_is_no_decision_of_ours_is_passed_over_and_a_newer_one_is_not() -> None:
    """An undecodable value is skipped; a type of a newer program stops the walk."""
    one = records([decided("e1")])[0]
    broken = Record(
        topic=one.topic, partition=0, offset=1, key=one.key, value=b"{", headers=one.headers, timestamp=0
    )  # fmt: skip
    found, _ = await paired(records([click("e1")]), [broken, one])
    assert [("e1", "e1")] == _ids(found)
    newer = tuple((name, b"lark.card.decided.v9" if name == "ce_type" else text) for name, text in one.headers)
    later = Record(topic=one.topic, partition=0, offset=2, key=one.key, value=b"{}", headers=newer, timestamp=0)
    with pytest.raises(NewerThanUs):
        await paired([], [later])


async def test_an_input_without_an_id_waits_for_nothing() -> None:
    """What somebody else wrote into the topic does not take the place of ours."""
    bare = [Record(topic="t", partition=0, offset=at, key="k", value=b"", headers=(), timestamp=0) for at in range(2)]
    found, _ = await paired([*bare, *records([click("e1")], first=2)], records([decided("e1", offset=2)]))
    assert 3 == len(found)
