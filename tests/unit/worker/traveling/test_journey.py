"""The journey through one partition: causes, what follows, and what stays as it was."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import SendText, UpdateCard
from shared.core.events import Decided, Event
from tests.support.facts import APP, NOW, click, redrive
from tests.support.past import Recorder
from tests.unit.worker.traveling.facts import decided, file, journey, records
from worker.traveling.findings import Difference, Findings
from worker.traveling.journey import ALWAYS, Period
from worker.traveling.pairs import Pair

CAUSE: Final = "same_code"
"""Of most differences here: all handlers have one source, and call other functions."""

Counts = Callable[[Interaction, int], Decision]


def counting(decide: Counts) -> App:
    """Return an app that counts, and decides as told by the click and the count."""
    app = App()

    @app.on_action("follow_up", handler_name="count")
    def count(click: Interaction, card: Card | None) -> Decision:
        return decide(click, (card.state if card and card.state else 0) + 1)

    return app


def plainly(_click: Interaction, n: int) -> Decision:
    """Count, and show it."""
    return Decision(state=n, effects=[UpdateCard({"n": n})])


def told_of(event_id: str, effects: Sequence[Any] = (), state: int = 0) -> Counts:
    """Return a decider that differs at one event: other effects, and so much more in the state."""

    def decide(click: Interaction, n: int) -> Decision:
        if click.event_id != event_id:
            return plainly(click, n)
        return Decision(state=n + state, effects=[UpdateCard({"n": n + state}), *effects])

    return decide


def clicks(count: int) -> list[Event]:
    """Return clicks on one card, a minute apart."""
    return [click(f"e{n}", occurred_at=NOW + n * 60_000, received_at=NOW + n * 60_000) for n in range(count)]


def recorded(events: Sequence[Event], app: App) -> list[Pair]:
    """Return inputs with what an app decided about them."""
    _, told = Recorder(apps={APP: app}).record(events)
    outputs = [_decided(one.value) for one in told]
    return [Pair(record=record, decided=output) for record, output in zip(records(events), outputs, strict=True)]


def _decided(value: bytes) -> Decided:
    return msgspec.json.decode(value, type=Decided)


def traveled(pairs: Sequence[Pair], app: App, *, period: Period = ALWAYS) -> tuple[Findings, list[Difference]]:
    """Return what is found by an app's handlers."""
    with file() as connection:
        taken, told = journey(connection, app, period=period)
        for pair in pairs:
            taken.take(pair)
        return taken.findings, told


def _whys(told: Sequence[Difference]) -> list[tuple[str, str]]:
    return [(one.event_id, one.why) for one in told]


def test_the_same_handlers_decide_the_same() -> None:
    """Nothing is told."""
    findings, told = traveled(recorded(clicks(5), counting(plainly)), counting(plainly))
    assert ([], 5, 0) == (told, findings.compared, findings.differing)


def test_what_follows_from_a_difference_is_no_cause() -> None:
    """From the click on at which the count went astray."""
    findings, told = traveled(recorded(clicks(5), counting(plainly)), counting(told_of("e2", state=10)))
    assert [("e2", CAUSE), ("e3", "follows"), ("e4", "follows")] == _whys(told)
    (found,) = findings.by_handler.values()
    assert (5, 1, 2, 1, {"state": 1, "card": 1}) == (
        found.inputs, found.differing, found.follows, found.cards, found.kinds
    )  # fmt: skip
    assert (["om_1"], ["e2"]) == (found.named, [one.event_id for one in found.examples])


def test_effects_alone_leave_the_card_as_it_was() -> None:
    """Then nothing follows, and the next difference is a cause again; the card is counted once."""
    new = counting(lambda click, n: told_of(click.event_id, [SendText("x", to="oc_1")] if n % 2 else [])(click, n))
    findings, told = traveled(recorded(clicks(5), counting(plainly)), new)
    assert [("e0", CAUSE), ("e2", CAUSE), ("e4", CAUSE)] == _whys(told)
    (found,) = findings.by_handler.values()
    assert (3, 0, 1, 1) == (found.differing, found.follows, found.cards, len(found.examples))


def test_worlds_that_meet_again_are_compared_anew() -> None:
    """A click that sets the state whatever it was ends what follows."""

    def resets(click: Interaction, n: int) -> Decision:
        return plainly(click, 1 if click.event_id in {"e2", "e4"} else n)

    def new(click: Interaction, n: int) -> Decision:
        return Decision(state=9, effects=[]) if click.event_id == "e1" else resets(click, n)

    _, told = traveled(recorded(clicks(6), counting(resets)), counting(new))
    assert [("e1", CAUSE)] == _whys(told)

    def astray(click: Interaction, n: int) -> Decision:
        return Decision(state=9, effects=[]) if click.event_id == "e0" else resets(click, n)

    _, told = traveled(recorded(clicks(6), counting(resets)), counting(astray))
    assert [("e0", CAUSE), ("e1", "follows")] == _whys(told)


def test_the_same_source_that_decides_otherwise_is_told_apart() -> None:
    """The digest of the record says so: it depends on something else."""
    pairs = recorded(clicks(2), counting(plainly))
    same = counting(told_of("e0", state=5))
    _, told = traveled(pairs, same)
    digest = next(pair.decided.digest for pair in pairs if pair.decided)
    assert digest == same.handler_for(click()).digest  # type: ignore[union-attr]
    assert "same_code" == told[0].why
    other = App()

    @other.on_action("follow_up", handler_name="count")
    def count(click: Interaction, card: Card | None) -> Decision:
        return Decision(state=click.event_id)

    assert "decided_otherwise" == traveled(pairs, other)[1][0].why


def test_who_does_not_agree_with_himself_is_named() -> None:
    """The click is decided twice more from the same card."""
    drawn = iter(range(100, 200))
    new = counting(lambda click, n: Decision(state=next(drawn) if click.event_id == "e1" else n))
    _, told = traveled(recorded(clicks(1), counting(plainly)), new)
    assert "nondeterministic" not in {one.why for one in told}
    _, told = traveled(recorded(clicks(2), counting(lambda _, n: Decision(state=n))), new)
    assert [("e1", "nondeterministic")] == _whys(told)


@pytest.mark.parametrize(
    "around",
    [
        {"result": "twin", "handler": None},
        {"result": "refused", "reason": "expired", "handler": None},
        {"result": "failed", "reason": "deadline"},
        {"result": "failed", "reason": "suspended"},
        {"result": "failed", "reason": "unknown_app", "handler": None},
        {"result": "failed", "reason": "could not be decided: ValueError (x.py:1)"},
    ],
)
def test_what_no_handler_decided_stays_as_recorded(around: dict[str, Any]) -> None:
    """The counter goes on without it, in both worlds."""
    pairs = recorded(clicks(3), counting(plainly))
    middle = Pair(record=pairs[1].record, decided=decided("e1", occurred_at=NOW + 60_000, **around))
    again = recorded([click("e0"), *clicks(3)[2:]], counting(plainly))
    findings, told = traveled(
        [pairs[0], middle, Pair(record=pairs[2].record, decided=again[1].decided)], counting(plainly)
    )
    assert ([], 2, 1) == (told, findings.compared, sum(findings.as_recorded.values()))


def test_a_failure_that_is_none_any_more_is_the_cause_and_its_redrive_follows() -> None:
    """What new code decides at once, it does not decide again when the record redrives it."""

    def fails(click: Interaction, n: int) -> Decision:
        if click.event_id == "e0":
            raise ValueError(n)
        return plainly(click, n)

    pairs = recorded(clicks(2), counting(fails))
    after = decided("e0", redrive=1, state=2, content={"n": 2}, version=2, occurred_at=NOW, newest_at=NOW + 60_000)
    (again,) = records([redrive("e0", 1)], first=2)
    _, told = traveled([*pairs, Pair(record=again, decided=after)], counting(plainly))
    assert [("e0", CAUSE), ("e1", "follows"), ("e0", "follows")] == _whys(told)
    assert "not decided again" == told[-1].changes[0].now


def test_a_failure_is_redriven_where_it_failed_in_both_worlds() -> None:
    """By the input that was kept, on the card as it is then."""
    mood = {"fails": True}

    def moody(click: Interaction, n: int) -> Decision:
        if mood["fails"] and click.event_id == "e0":
            raise ValueError(n)
        return plainly(click, n)

    pairs = recorded(clicks(2), counting(moody))
    after = decided("e0", redrive=1, state=2, content={"n": 2}, version=2, occurred_at=NOW, newest_at=NOW + 60_000)
    (again,) = records([redrive("e0", 1)], first=2)
    with file() as connection:
        taken, told = journey(connection, counting(moody))
        for pair in pairs:
            taken.take(pair)
        mood["fails"] = False
        taken.take(Pair(record=again, decided=after))
    late = [one for one in told if one.changes[0].kind != "late"]
    assert ([], 3) == (late, taken.findings.compared)


def test_a_period_begins_with_the_recorded_card_and_ends_in_silence() -> None:
    """What differs before and behind it is not told."""
    new = counting(lambda click, n: plainly(click, n + 1))
    period = Period(begin=NOW + 2 * 60_000, end=NOW + 4 * 60_000)
    findings, told = traveled(recorded(clicks(6), counting(plainly)), new, period=period)
    assert [("e2", "same_code"), ("e3", "follows")] == [(one.event_id, one.why) for one in told]
    assert (2, 4) == (findings.compared, findings.before)


def test_a_card_whose_beginning_is_gone_is_taken_over() -> None:
    """Nobody knows what it had counted: from the first decision that is there on, it is compared."""
    findings, told = traveled(recorded(clicks(5), counting(plainly))[2:], counting(plainly))
    assert ([], 2, 1) == (told, findings.compared, findings.begun_later)
    pairs = recorded(clicks(5), counting(plainly))
    lost = [pairs[0], Pair(record=None, decided=pairs[1].decided), *pairs[2:]]
    findings, told = traveled(lost, counting(plainly))
    assert ([], 4, 1) == (told, findings.compared, findings.inputless)


def test_inputs_without_a_decision_are_counted() -> None:
    """They are none of anybody's differences."""
    pairs = recorded(clicks(2), counting(plainly))
    findings, told = traveled([pairs[0], Pair(record=pairs[1].record, decided=None)], counting(plainly))
    assert ([], 1, 1) == (told, findings.compared, findings.undecided)


def test_a_handler_that_is_new_or_gone_is_named() -> None:
    """By the name that it had, else by the one that it has."""
    pairs = recorded(clicks(1), counting(plainly))
    findings, told = traveled(pairs, App())
    assert ["count"] == list(findings.by_handler)
    assert {"result", "handler", "state", "card", "effect"} >= {change.kind for change in told[0].changes}
    findings, _ = traveled(recorded(clicks(1), App()), counting(plainly))
    assert ["count"] == list(findings.by_handler)
