import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from cardwire.testing import click, event
from shared.app.app import App
from shared.app.decide import MAX_BYTES, MAX_EFFECTS, run
from shared.app.handler import make_handler
from shared.app.interaction import Interaction
from shared.app.race import lose
from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.effects import (
    CallApi,
    Effect,
    Origin,
    RefreshPreview,
    RenameChat,
    SendCard,
    SendEphemeral,
    SendText,
    StreamText,
    UpdateCard,
    UpdateChat,
    UpdateElement,
)
from shared.core.errors import HandlerError
from shared.core.ids import ChatId, EventId, OpenId
from shared.core.json_text import JsonText

CLICK = click("approve")
EVENT = event("out_approval")


def _run(decide: Callable[[Interaction, Card | None], Any], interaction: Interaction = CLICK) -> Decision:
    return run(make_handler(decide, name="handler", answer=None), interaction, None)


def _returning(returned: Any, interaction: Interaction = CLICK) -> Decision:
    return _run(lambda click, card: returned, interaction)


@pytest.mark.parametrize(
    ("returned", "decided"),
    [
        (None, Decision(effects=())),
        ([], Decision(effects=())),
        ((RenameChat("x"),), Decision(effects=(RenameChat("x"),))),
        ([RenameChat("x"), SendText("y")], Decision(effects=(RenameChat("x"), SendText("y")))),
        (Decision(state={"n": 1}), Decision(effects=(), state={"n": 1})),
        (Decision(effects=[SendText("y")], state=None), Decision(effects=(SendText("y"),), state=None)),
    ],
)
def test_what_a_handler_may_return(returned: object, decided: Decision) -> None:
    """Nothing, a list or a tuple of effects, or a Decision."""
    assert decided == _returning(returned)


def test_a_list_leaves_the_state_alone_and_none_is_a_state() -> None:
    """Returning no Decision is not the same as returning an empty state."""
    assert _returning([]).state is UNCHANGED
    assert _returning(Decision(state=None)).state is None


@pytest.mark.parametrize(
    "returned",
    [RenameChat("x"), {"a": 1}, {1}, "x", 7, Decision, iter([]), Decision(effects=RenameChat("x"))],  # type: ignore[arg-type]
)
def test_what_a_handler_may_not_return(returned: object) -> None:
    """Guessing what was meant would hide a mistake."""
    with pytest.raises(HandlerError, match=r"handler returned .* expected None, a list of effects or a Decision"):
        _returning(returned)


@pytest.mark.filterwarnings("error")
def test_a_coroutine_is_refused_and_closed() -> None:
    """A handler may hide that it is asynchronous; it is found out when it returns."""
    with pytest.raises(HandlerError, match="an object of type coroutine"):
        _run(lambda click, card: asyncio.sleep(0))


class _Mine(SendText, frozen=True):
    """Not one of the effects that the worker knows."""


@pytest.mark.parametrize(
    ("effect", "told"),
    [
        ("x", "an effect of type str: expected UpdateCard, UpdateElement, "),
        (RenameChat, "an effect of type StructMeta"),
        (_Mine("x"), "an effect of type _Mine"),
        (RenameChat(7), "RenameChat with Expected `str`, got `int`"),  # type: ignore[arg-type]
        (SendText("x", to=7), "SendText with Expected `str | null`, got `int`"),  # type: ignore[arg-type]
        (
            UpdateCard("no JSON"),
            "UpdateCard with a card whose text is no JSON (line 1, column 1): expected a card, as in {",
        ),
        (SendCard("[]"), "SendCard with a card that is no JSON object"),
        (UpdateCard('{"a": Infinity}'), "UpdateCard with a card that holds Infinity"),
        (UpdateCard('{"a": ' + "[" * 100_000), "UpdateCard with "),
        (UpdateCard("{}", "om_\0"), "UpdateCard with an id that is none: expected one as in 'om_…'"),
        (UpdateCard("{}", ""), "UpdateCard with an id that is none"),
        (RenameChat("x", ChatId("oc_\0")), "RenameChat with an id that is none: expected one as in 'oc_…'"),
        (UpdateChat("x", chat_id=""), "UpdateChat with an id that is none: expected one as in 'oc_…'"),
        (SendEphemeral({}, "ou_1", "oc 1"), "SendEphemeral with an id that is none: expected one as in 'oc_…'"),
        (SendText("x", to="a\0b"), "SendText with a receiver that is no text of 1 to 254 printable characters"),
        (SendText("x", to=""), "SendText with a receiver that is no text of 1 to 254 printable characters"),
        (SendCard({}, to="x" * 255), "SendCard with a receiver that is no text of 1 to 254 printable characters"),
        (SendEphemeral({}, "ou\n"), "SendEphemeral with a receiver that is no text of 1 to 254 printable characters"),
        (RefreshPreview((OpenId("ou_1"), OpenId("\ud800"))), "RefreshPreview with an id that is none"),
        (UpdateElement("a" * 21, {}), "UpdateElement with an element_id that is none: expected at most 20 letters"),
        (UpdateElement("1st", {}), "UpdateElement with an element_id that is none"),
        (UpdateElement("a", "[]"), "UpdateElement with an element that is no JSON object"),
        (StreamText("a-b", "x"), "StreamText with an element_id that is none"),
        (StreamText("a", ""), "StreamText with a text of 0 characters: expected 1 to 100000"),
        (StreamText("a", "好" * 100_001), "StreamText with a text of 100001 characters: expected 1 to 100000"),
        (RefreshPreview((OpenId("ou_1"),) * 101), "RefreshPreview with 101 open_ids: expected at most 100, or none"),
    ],
)
def test_an_effect_that_could_not_be_performed(effect: object, told: str) -> None:
    """What would fail in the worker fails where its author is named."""
    with pytest.raises(HandlerError) as refused:
        _returning([effect])
    assert f"handler returned {told}" in str(refused.value)


def test_a_part_is_taken_up_to_the_platforms_limits() -> None:
    """An id of 20 characters; as much text as is streamed, but for what a decision holds altogether."""
    element, text = UpdateElement("a" * 20, JsonText('{"tag":"hr"}')), StreamText("a", "x" * 100_000)
    assert (element, text) == _returning([element, text]).effects


def test_half_characters_do_not_fail_a_handler() -> None:
    """A handler that repeats what somebody typed is right, whatever that was."""
    effects: tuple[Effect, ...] = (SendText("a\ud800\U0001f600"), RenameChat("x\x00"))
    assert (SendText("a\ufffd\U0001f600"), RenameChat("x\x00")) == _returning(list(effects)).effects
    assert (UpdateCard(JsonText('{"t":"\\ud800"}')),) == _returning([UpdateCard({"t": "\ud800"})]).effects


def test_half_a_character_in_a_key_is_repaired_like_one_in_a_text() -> None:
    """What somebody typed may be a parameter's name, too."""
    (effect,) = _returning([CallApi("GET", "/open-apis/im/v1/chats", {"q\ud800": "\udc00"})]).effects
    assert CallApi("GET", "/open-apis/im/v1/chats", {"q\ufffd": "\ufffd"}) == effect


class _Read(dict[str, Any]):
    """A dict that fails whoever reads it."""

    def items(self) -> Any:
        raise LookupError("secret")


class _Shout(str):
    """A text with methods of its own."""

    __slots__ = ()

    def isascii(self) -> bool:
        raise LookupError("secret")


def _cycle() -> dict[str, Any]:
    held: dict[str, Any] = {}
    held["it"] = held
    return held


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ([CallApi("GET", "/open-apis/im", _cycle())], "RecursionError in what handler returned"),
        ([CallApi("GET", "/open-apis/im", _Read(a="b"))], "LookupError in what handler returned (test_decide.py:"),
        (Decision(state=_Read(a=1)), "LookupError in what handler returned (test_decide.py:"),
        (Decision(state=_cycle()), "handler returned state that is not JSON: ValueError"),
        ([CallApi("GET", "/open-apis/im", origin=Origin(event_id=EventId("\ud800")))], "UnicodeEncodeError in what"),
    ],
)
def test_what_cannot_even_be_read_fails_the_handler_that_returned_it(returned: object, told: str) -> None:
    """It holds itself, or runs code of its own: told by type and place, and by nothing that it says."""
    with pytest.raises(HandlerError) as failed:
        _returning(returned)
    assert str(failed.value).startswith(told)
    assert "secret" not in str(failed.value)


def test_a_loser_is_read_under_the_same_guard() -> None:
    """What ``lost=`` returns is no more believed than the winner's."""
    late = make_handler(lambda click, card: [CallApi("GET", "/open-apis/im", _cycle())], name="late")
    with pytest.raises(HandlerError, match="RecursionError in what late returned"):
        lose(late, CLICK, None)


def test_what_is_decided_holds_plain_objects_only() -> None:
    """Nothing of the user's is read again after the deadline: texts and states are copies."""
    state: dict[str, tuple[int, ...]] = {"votes": (1, 2)}
    decided = _returning(Decision(state=state, effects=[SendText(_Shout("x"))]))
    state["votes"] = (3,)
    (effect,) = decided.effects
    assert ({"votes": [1, 2]}, str) == (decided.state, type(effect.text) if isinstance(effect, SendText) else None)


@pytest.mark.parametrize("error", [ValueError("secret"), SystemExit(3), RecursionError(), asyncio.CancelledError()])
def test_whatever_a_handler_raises_is_its_own_failure(error: BaseException) -> None:
    """The reason names the type, the handler and the line, the traceback is kept, what was typed is not told."""

    def fail(click: Interaction, card: Card | None) -> None:
        raise error

    with pytest.raises(HandlerError) as failed:
        _run(fail)
    line = inspect.getsourcelines(fail)[1] + 1
    assert f"{type(error).__name__} in handler (test_decide.py:{line})" == str(failed.value)
    assert error is failed.value.__cause__


def test_a_person_at_the_keyboard_can_still_interrupt() -> None:
    """Control-C is no failure of the handler that was running."""

    def interrupted(click: Interaction, card: Card | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(interrupted)


def test_a_raising_predicate_fails_the_handler_it_belongs_to() -> None:
    """The failure is recorded under that handler's name."""
    app = App()
    app.on_action(lambda click: click.value["missing"], handler_name="picky")(lambda click, card: None)
    handler = app.handler_for(CLICK.received)
    assert handler is not None
    with pytest.raises(HandlerError, match=r"^KeyError in picky \(test_decide.py:\d+\)$"):
        run(handler, CLICK, None)


def test_state_must_be_json() -> None:
    """State lies in a database and in the log."""
    for state in (object(), {1, 2}, float("nan"), b"x"):
        with pytest.raises(HandlerError, match="handler returned state that is not JSON: ValueError"):
            _returning(Decision(state=state))


@pytest.mark.parametrize(
    "returned",
    [
        Decision(state="x" * MAX_BYTES),
        [SendText("x" * MAX_BYTES)],
        Decision(state="x" * (MAX_BYTES // 2), effects=[SendText("文" * (MAX_BYTES // 6 + 1))]),
    ],
)
def test_a_decision_of_more_than_256_kb_is_refused(returned: object) -> None:
    """State and effects count together, as UTF-8."""
    with pytest.raises(HandlerError, match=r"handler decided \d+ bytes of state and effects: at most 262144"):
        _returning(returned)


def test_a_decision_just_within_the_limit_is_taken() -> None:
    """The limit is a limit, not a guess."""
    state = "x" * (MAX_BYTES - len('""'))
    assert state == _returning(Decision(state=state)).state


def test_the_number_of_effects_is_bounded() -> None:
    """Their order is counted in steps of 1024."""
    assert MAX_EFFECTS == len(_returning([SendText("x")] * MAX_EFFECTS).effects)
    with pytest.raises(HandlerError, match="1024 effects: at most 1023"):
        _returning([SendText("x")] * (MAX_EFFECTS + 1))


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (Decision(state=1), "returned state, but event is about no card"),
        ([UpdateCard({})], "returned UpdateCard, but event is about no card"),
        ([RenameChat("x")], "RenameChat without saying where: .* expected chat_id='oc_…'"),
        ([SendText("x")], "SendText without saying where: .* expected to='oc_…'"),
        ([SendCard({})], "SendCard without saying where"),
    ],
)
def test_an_event_without_a_card_changes_no_card_and_no_unnamed_chat(returned: object, told: str) -> None:
    """There is nothing that such an effect could act on."""
    with pytest.raises(HandlerError, match=told):
        _returning(returned, EVENT)


def test_an_event_may_act_where_it_says() -> None:
    """A chat, a person or a card named in the effect needs no card that was clicked."""
    effects = (
        RenameChat("x", ChatId("oc_1")),
        SendText("y", to="ou_1"),
        SendCard({}, to="oc_1"),
        UpdateCard({}, "om_1"),
    )
    assert effects == _returning(list(effects), EVENT).effects


def test_a_click_without_a_known_chat_may_still_rename_it() -> None:
    """The worker can ask the platform for the chat of a message."""
    assert (RenameChat("x"),) == _returning([RenameChat("x")], click("approve", chat_id=None)).effects


def test_a_handler_is_given_the_interaction_and_the_card() -> None:
    """In this order, whatever their names."""
    card = Card(version=3, state_text=JsonText('{"n":1}'))
    seen: list[object] = []
    run(make_handler(lambda c, k: seen.extend([c, k]), name=None, answer=None), CLICK, card)
    assert [CLICK, card] == seen
