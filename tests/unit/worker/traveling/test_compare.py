"""In what two decisions about one input differ."""

from typing import Any

import pytest

from shared.core.effects import Call, Effect, RenameChat, SendCard, SendText, UpdateCard
from shared.core.events import Decided, PlannedEffect
from shared.core.ids import ChatId, MessageId
from shared.core.json_text import JsonText
from tests.unit.worker.traveling.facts import decided, planned
from worker.traveling.compare import Change, compare


def _told(recorded: Decided, ours: Decided | None, **options: Any) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.what, one.was, one.now) for one in compare(recorded, ours, **options)]


def _effects(*effects: Effect, target: str = "chat:oc_1", **fields: Any) -> tuple[PlannedEffect, ...]:
    return tuple(planned(effect, target, index=at, order=at, **fields) for at, effect in enumerate(effects, 1))


def test_equal_decisions_do_not_differ() -> None:
    """Nor do those whose effects are due at other times, or stand at other offsets of a log that was moved."""
    one = decided(state={"a": 1, "b": 2}, version=1, effects=(planned(RenameChat("n"), "chat:oc_1"),))
    other = decided(
        state={"b": 2, "a": 1},
        version=4,
        offset=99,
        decided_at=1,
        effects=(planned(RenameChat("n"), "chat:oc_1", order=5, due=7, eligibility="after_answer"),),
    )
    assert [] == _told(one, one)
    assert [] == _told(one, other)


def test_the_line_of_an_error_is_no_difference() -> None:
    """It moves with every line of code; what was raised, and where by name, does count."""
    one = decided(result="failed", reason="ValueError in count (handlers.py:12)")
    assert [] == _told(one, decided(result="failed", reason="ValueError in count (new_handlers.py:31)"))
    other = decided(result="failed", reason="KeyError in count (handlers.py:12)")
    assert [("result", "", "failed: ValueError in count", "failed: KeyError in count")] == _told(one, other)


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (
            decided(result="ignored", handler=None),
            [("result", "", "decided", "ignored"), ("handler", "", "count", "none")],
        ),
        (decided(handler="count_2"), [("handler", "", "count", "count_2")]),
        (decided(late=True), [("late", "", "no", "yes")]),
        (decided(winners=("ou_a",)), [("race", "", "no race", "won")]),
        (
            decided(result="refused", reason="once_per_card"),
            [("result", "", "decided", "refused: once_per_card"), ("race", "", "no race", "lost (once_per_card)")],
        ),
        (
            decided(result="counted", voters=("ou_a",)),
            [("result", "", "decided", "counted"), ("race", "", "no race", "counted")],
        ),
        (decided(requests=("req/worker/e1/1",)), [("effect", "updates of other cards", "0", "1")]),
        (None, [("result", "", "decided", "not decided again")]),
    ],
)  # fmt: skip
def test_each_kind_of_difference_has_a_name(ours: Decided | None, told: list[tuple[str, str, str, str]]) -> None:
    """So that many can be counted by it."""
    assert told == _told(decided(), ours)


def test_states_and_cards_are_told_by_path_and_type() -> None:
    """Values are what people typed: they are shown where they are asked for, and then not at any length."""
    one = decided(state={"n": 1, "by": "ou_ada", "votes": [1]}, content={"text": "typed" * 100})
    other = decided(state={"n": 2, "votes": [1, 2]}, content={"text": None})
    told = _told(one, other)
    assert [
        ("state", "/n", "number", "number"),
        ("state", "/votes/1", "absent", "number"),
        ("state", "/by", "text", "absent"),
        ("card", "/text", "text", "null"),
    ] == told
    *_, last = shown = _told(one, other, with_values=True)
    assert ("state", "/n", "1", "2") == shown[0]
    assert '"' + "typed" * 23 in last[2]
    assert len(last[2]) < 130


def test_a_card_that_is_shown_is_told_once() -> None:
    """As the card, and not as the update that shows it, too."""
    one, other = (decided(effects=(planned(UpdateCard({"n": n})),), version=1) for n in (1, 2))
    assert [("card", "/n", "number", "number")] == _told(one, other)


def test_effects_are_told_by_kind_and_target() -> None:
    """New, gone and changed ones; the place of a call in its decision is no target."""
    chat = ChatId("oc_1")
    one = decided(effects=_effects(RenameChat("a"), SendText("typed", to=chat)))
    other = decided(effects=_effects(RenameChat("b"), SendCard({"n": 1}, to=chat)))
    assert {
        ("effect", "RenameChat of chat:oc_1: /name", "text", "text"),
        ("effect", "SendText of chat:oc_1", "there", "absent"),
        ("effect", "SendCard of chat:oc_1", "absent", "there"),
    } == set(_told(one, other))
    called = decided(effects=(planned(Call("publish", {"n": 1}), "call:e1/1"),))
    moved = decided(effects=(planned(Call("publish", {"n": 2}), "call:e1/2", index=2),))
    assert [("effect", "Call: /args/n", "number", "number")] == _told(called, moved)
    assert "typed" not in str(compare(one, other))


def test_what_acts_on_one_target_in_another_order_differs() -> None:
    """Across targets no order is promised, so none is compared."""
    first, second = RenameChat("a"), SendText("b", to=ChatId("oc_1"))
    one, other = decided(effects=_effects(first, second)), decided(effects=_effects(second, first))
    assert [("effect", "order", "as recorded", "other")] == _told(one, other)
    apart = (planned(first, "chat:oc_1"), planned(second, "chat:oc_2", index=2))
    assert [] == _told(decided(effects=apart), decided(effects=apart[::-1]))


def test_a_person_who_is_addressed_by_mail_is_not_shown() -> None:
    """Nor is anything else of an address."""
    sent = decided(effects=(planned(SendText("x", to="ada@example.com"), "user:ada@example.com"),))
    ((_, what, *_),) = _told(decided(), sent)
    assert "SendText of user" == what


def test_a_report_is_bounded() -> None:
    """Of a thousand changed parts, or effects, the first ones are told, and that there are more."""
    one, other = (decided(state=list(range(first, first + 1_000))) for first in (0, 1))
    told = _told(one, other)
    assert (13, ("state", "…", "", "")) == (len(told), told[-1])
    many = decided(effects=_effects(*(UpdateCard({"n": n}, MessageId(f"om_{n}")) for n in range(50)), audience="ou_1"))
    told = _told(decided(), many)
    assert (9, ("effect", "and 42 more", "", "")) == (len(told), told[-1])


def test_json_that_nobody_can_read_is_compared_as_text() -> None:
    """Thirty thousand digits, or a thousand levels, end no report."""
    one, other = (decided().__class__(**{**_fields(), "state": JsonText("1" * n)}) for n in (20_000, 30_000))
    assert [("state", "(all)", "text", "text")] == _told(one, other)
    assert isinstance(compare(one, other)[0], Change)


def _fields() -> dict[str, Any]:
    made = decided()
    return {name: getattr(made, name) for name in made.__struct_fields__}
