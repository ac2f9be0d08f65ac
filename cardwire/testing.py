"""
Test handlers as what they are: functions from a click and a card to a decision.

::

    def test_the_first_press_renames_the_chat():
        given(app).when(click("follow_up")).then([RenameChat("跟进中")], state={"presses": 1})

Nothing is started and nothing is sent. Every handler is run twice, because the worker may do so after a crash: one
that reads a clock, draws random numbers or remembers earlier clicks is caught as `Nondeterministic`.
"""

import difflib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from shared.app.answering import Asked, answered
from shared.app.app import App
from shared.app.decide import run
from shared.app.handler import HANDLER_S, Handler
from shared.app.interaction import Interaction
from shared.app.known import check_known
from shared.app.race import enter, lose
from shared.app.subject import CallResult, Reminder, Subject, fact_of
from shared.core.answers import AnswerValue
from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.effects import Effect, OnCard, StreamText, UpdateCard, UpdateElement
from shared.core.errors import HandlerError
from shared.core.events import (
    CARD_ACTIONS,
    Action,
    Answer,
    CallReturned,
    InteractionReceived,
    Operator,
    TimerFired,
)
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import JsonText, json_text, json_value
from shared.core.races import NOBODY_YET, Counted, Lost, LostReason, Place, Standing, Won, joined
from shared.feishu.cards import is_exclusive
from shared.feishu.elements import with_element, with_text

__all__ = [
    "Given",
    "Nondeterministic",
    "Result",
    "card",
    "click",
    "event",
    "given",
    "link",
    "reminder",
    "result",
]

NEW_YEAR: Final = datetime(2025, 1, 1, tzinfo=UTC)


class Nondeterministic(AssertionError):
    """A handler decided differently when it was given the same click and card again."""


def click(
    action: str | None = None,
    *,
    value: Any = None,
    open_id: str = "ou_ada",
    message_id: str = "om_card",
    chat_id: str | None = "oc_group",
    tag: str = "button",
    name: str | None = None,
    form_value: Any = None,
    input_value: str | None = None,
    option: str | None = None,
    options: Sequence[str] | None = None,
    checked: bool | None = None,
    at: datetime = NEW_YEAR,
    event_id: str = "click-1",
) -> Interaction:
    """
    Return a click on a card.

    Args:
        action: The action's name, under the key ``action`` of the value (with another ``action_key``: give `value`).
        value: The component's value: any JSON; with `action` an object that is given the action besides.
        open_id: Who clicks.
        form_value: The submitted form, by component name.
        at: When; the handler's ``click.now``.
    """
    whole = value if action is None else {"action": action, **(value or {})}
    return Interaction(
        InteractionReceived(
            event_id=EventId(event_id),
            kind="card_action",
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            operator=Operator(open_id=OpenId(open_id)),
            message_id=MessageId(message_id),
            chat_id=None if chat_id is None else ChatId(chat_id),
            action=Action(
                tag=tag, name=name, value=_text(whole), form_value=_text(form_value), input_value=input_value,
                option=option, options=None if options is None else tuple(options), checked=checked,
            ),
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )  # fmt: skip


def event(event_type: str, body: Any = None, *, at: datetime = NEW_YEAR, event_id: str = "event-1") -> Interaction:
    """Return a subscribed event whose callback holds ``body`` under ``event``."""
    return Interaction(
        InteractionReceived(
            event_id=EventId(event_id),
            kind="event",
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            event_type=event_type,
            callback=json_text({"event": body}),
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )


def link(
    url: str,
    *,
    open_id: str = "ou_ada",
    message_id: str | None = "om_card",
    chat_id: str | None = "oc_group",
    at: datetime = NEW_YEAR,
    event_id: str = "link-1",
) -> Interaction:
    """Return a link that somebody's client wants to show; ``message_id=None``: it is still being typed."""
    return Interaction(
        InteractionReceived(
            event_id=EventId(event_id),
            kind="link_preview",
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            operator=Operator(open_id=OpenId(open_id)),
            message_id=None if message_id is None else MessageId(message_id),
            chat_id=None if chat_id is None else ChatId(chat_id),
            url=url,
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )


def result(
    name: str,
    value: Any = None,
    *,
    error: str | None = None,
    open_id: str = "ou_ada",
    message_id: str | None = "om_card",
    chat_id: str | None = "oc_group",
    at: datetime = NEW_YEAR,
    event_id: str = "click-1/1/returned",
) -> CallResult:
    """Return what a call of this name brought back: a value, or with ``error`` why it was given up."""
    return CallResult(
        CallReturned(
            event_id=EventId(event_id),
            origin=EventId(event_id.partition("/")[0]),
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            message_id=None if message_id is None else MessageId(message_id),
            chat_id=None if chat_id is None else ChatId(chat_id),
            operator=Operator(open_id=OpenId(open_id)),
            name=name,
            value=None if error is not None else json_text(value),
            error=error,
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )


def reminder(
    key: str = "reminder",
    *,
    due: datetime | None = None,
    open_id: str = "ou_ada",
    message_id: str | None = "om_card",
    chat_id: str | None = "oc_group",
    at: datetime = NEW_YEAR,
    event_id: str = "click-1/1/fired",
) -> Reminder:
    """Return a reminder of this key that came; ``due``: when it was to come, if that was earlier."""
    return Reminder(
        TimerFired(
            event_id=EventId(event_id),
            origin=EventId(event_id.partition("/")[0]),
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            message_id=None if message_id is None else MessageId(message_id),
            chat_id=None if chat_id is None else ChatId(chat_id),
            operator=Operator(open_id=OpenId(open_id)),
            key=key,
            due=_ms(due or at),
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )


def card(
    *,
    state: Any = None,
    content: Any = None,
    version: int = 1,
    winners: Mapping[str, Sequence[str]] | None = None,
    voters: Mapping[str, Sequence[str]] | None = None,
) -> Card:
    """
    Return a card as earlier decisions left it: their state, and the card JSON that we intend to show.

    Args:
        winners: By handler's name, the open ids whose clicks its race rule let through.
        voters: By handler's name, the open ids that were counted towards its quorum.
    """
    rules = {
        name: Standing(winners=_people(winners, name), voters=_people(voters, name))
        for name in {**(winners or {}), **(voters or {})}
    }
    return Card(version=version, state_text=_text(state), content_text=_text(content), rules=rules)


def given(app: App, card: Card | None = None, *, deadline_s: float = HANDLER_S) -> "Given":
    """
    Start a test of an app's handlers on a card; without one, on a card that nothing was decided about yet.

    Args:
        deadline_s: How long a handler may take: one that returns later has failed, as in the worker. One that never
            returns is waited for all the same.

    Raises:
        ConfigError: The app's handlers contradict each other.
    """
    app.check()
    return Given(app=app, card=card, deadline_s=deadline_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An app, the card that is clicked next, and how long handlers have (s)."""

    app: App
    card: Card | None
    deadline_s: float = HANDLER_S

    def when(self, interaction: Subject) -> "Result":
        """
        Decide an interaction, a result or a reminder, twice.

        Raises:
            Nondeterministic: The second decision, or the second answer, is not the first.
        """
        handler = self.app.handler_for(fact_of(interaction))
        answer, again = (_answer(self.app, interaction) for _ in range(2))
        if _shown(answer) != _shown(again):
            raise Nondeterministic(f"the same was answered differently:\n{_diff(_shown(answer), _shown(again))}")
        if handler is None:
            return Result(interaction=interaction, answer=answer, before=self.card, handler=None, decided=None)
        (place, first), (_, second) = (self._decided(handler, interaction) for _ in range(2))
        if _written(first) != _written(second):
            raise Nondeterministic(
                f"{handler.name} decided differently when it was given the same click and card again; handlers have "
                f"no clock (use click.now), no chance and no memory (use state):\n{_difference(first, second)}"
            )
        return Result(
            interaction=interaction, answer=answer, before=self.card, handler=handler, decided=first, place=place
        )

    def _decided(self, handler: Handler, interaction: Subject) -> tuple[Place, Decision | HandlerError]:
        place: Place = Won(NOBODY_YET)
        try:
            if not isinstance(interaction, Interaction):
                return place, self._run(handler, lambda: run(handler, interaction, self.card))
            place, seen = enter(handler, interaction, self.card)
            match place:
                case Won():
                    return place, self._run(handler, lambda: run(handler, seen, self.card))
                case Lost() if (late := handler.lost) is not None:
                    return place, self._run(handler, lambda: lose(late, seen, self.card))
                case Counted() | Lost():
                    return place, Decision()
        except HandlerError as error:
            return place, error

    def _run(self, handler: Handler, step: Callable[[], Decision]) -> Decision:
        began = time.monotonic()
        decision = step()
        if time.monotonic() - began > self.deadline_s:
            raise HandlerError(f"deadline: {handler.name} took longer than {self.deadline_s:g} s")
        check_known(self.app, handler, decision.effects)
        return decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    What was decided.

    Attributes:
        interaction: What was decided.
        answer: What it is answered with, or why with nothing.
        before: The card that the handler saw.
        handler: Who decided; ``None`` if no handler matched.
        decided: The decision, or why there is none; of a click that lost, what its handler's ``lost=`` decided.
        place: Where the click came in by its handler's race rule; without one, every click wins.
    """

    interaction: Subject
    answer: Answer | HandlerError
    before: Card | None
    handler: Handler | None
    decided: Decision | HandlerError | None
    place: Place = field(default=Won(NOBODY_YET), repr=False)

    def then(self, effects: Sequence[Effect], *, state: Any = UNCHANGED) -> "Result":
        """
        Expect these effects, in this order, and this new state (without one: that the state was left alone).

        Raises:
            AssertionError: With the difference.
        """
        expected = Decision(effects=tuple(effects), state=state)
        if _written(expected) != _written(self.decided):
            difference = _difference(expected, self.decided)
            raise AssertionError(f"{self._who} decided otherwise:\n{difference}") from self._error
        return self

    def answered(self, answer: AnswerValue | None) -> "Result":
        """
        Expect that the person who clicked, or sees the link, is answered with this at once; ``None``: with nothing.

        Raises:
            AssertionError: It is another, or the function that makes it failed.
        """
        asked: Asked = "link" if self.interaction.kind == "link_preview" else "click"
        expected, shown = _shown(answered(answer, rule="", asked=asked)), _shown(self.answer)
        if shown != expected:
            who = self.answer.rule if isinstance(self.answer, Answer) else self._who
            raise AssertionError(f"{who} answered otherwise:\n{_diff(expected, shown)}")
        return self

    def ignored(self) -> "Result":
        """Expect that no handler matched."""
        if self.handler is not None:
            raise AssertionError(f"{self._who} decided it, expected no handler to match")
        return self

    def failed(self, reason: str = "") -> "Result":
        """Expect that the handler failed, for a reason that holds this text, as ``ValueError in follow_up``."""
        if not isinstance(self.decided, HandlerError) or reason not in str(self.decided):
            decided = _written(self.decided)
            raise AssertionError(f"{self._who} was expected to fail with {reason!r}:\n{decided}") from self._error
        return self

    def counted(self) -> "Result":
        """Expect that the click was counted towards its handler's ``quorum``, and that nothing else was decided."""
        if type(self.place) is not Counted:
            raise AssertionError(f"{self._who} was expected to count the click, but {_came_in(self.place)}")
        return self

    def lost(self, reason: LostReason) -> "Result":
        """Expect that the click came too late; ``then`` says what ``lost=`` decided."""
        if self.place != Lost(reason):
            raise AssertionError(f"the click was expected to lose by {reason}, but {_came_in(self.place)}")
        return self

    @property
    def card(self) -> Card:
        """The card after this decision, for the next click: ``given(app, result.card).when(…)``."""
        before = self.before or Card()
        if not isinstance(self.decided, Decision):
            return before
        kept = self.decided.state is UNCHANGED
        added = NOBODY_YET if isinstance(self.place, Lost) else self.place.added
        return Card(
            version=before.version + 1,
            state_text=before.state_text if kept else json_text(self.decided.state),
            content_text=self._content_after(before, self.decided.effects),
            chat_id=before.chat_id,
            sent_at=before.sent_at,
            rules=joined(before.rules, self._who, added),
        )

    def _content_after(self, before: Card, effects: Sequence[Effect]) -> JsonText | None:
        content = before.content_text
        whole = any(isinstance(effect, UpdateCard) for effect in effects)
        # What a loser's answer painted is painted over with what was shown.
        if isinstance(self.answer, Answer) and self.answer.card and (whole or not isinstance(self.place, Lost)):
            content = self.answer.card if self.interaction.kind in CARD_ACTIONS else content
        for effect in effects:
            if isinstance(effect, OnCard) and effect.message_id in {None, self.interaction.message_id}:
                content = _changed(content, effect) or content
        return content

    @property
    def _error(self) -> HandlerError | None:
        return self.decided if isinstance(self.decided, HandlerError) else None

    @property
    def _who(self) -> str:
        return "nobody" if self.handler is None else self.handler.name


def _came_in(place: Place) -> str:
    match place:
        case Won():
            return "it was decided"
        case Counted():
            return "it was counted"
        case Lost(reason=reason):
            return f"it lost by {reason}"


def _written(decided: Decision | HandlerError | None) -> str:
    """Return a decision as text that people compare; cards as JSON, not as text of JSON."""
    match decided:
        case None:
            return "nothing: no handler matched"
        case HandlerError():
            return f"nothing: {decided}"
        case Decision(effects=effects, state=state):
            kept = {} if state is UNCHANGED else {"state": state}
            whole = {"effects": [_fields(effect) for effect in effects], **kept}
            return json.dumps(whole, ensure_ascii=False, indent=2, sort_keys=True)


def _fields(effect: Effect) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(effect)
    return {**fields, "card": json_value(fields["card"])} if "card" in fields else fields


def _difference(expected: Decision | HandlerError | None, actual: Decision | HandlerError | None) -> str:
    return _diff(_written(expected), _written(actual))


def _diff(expected: str, actual: str) -> str:
    lines = expected.splitlines(), actual.splitlines()
    return "\n".join(difflib.unified_diff(*lines, "expected", "actual", lineterm="", n=2))


def _answer(app: App, interaction: Subject) -> Answer | HandlerError:
    if not isinstance(interaction, Interaction):
        return Answer()  # Nobody waits for one.
    try:
        return app.answer_for(interaction.received)
    except HandlerError as error:
        return error


def _shown(answer: Answer | HandlerError) -> str:
    """Return an answer as text that people compare, whoever's it is."""
    if isinstance(answer, HandlerError):
        return f"nothing: {answer}"
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    fields.pop("rule", None)
    custom = fields.get("custom", {})
    for holder, name in ((fields, "card"), (custom, "body")):
        if name in holder:
            holder[name] = json_value(holder[name])
    return json.dumps(fields, ensure_ascii=False, indent=2, sort_keys=True)


def _text(value: Any) -> JsonText | None:
    return None if value is None else json_text(value)


def _people(by_handler: Mapping[str, Sequence[str]] | None, name: str) -> tuple[OpenId, ...]:
    return tuple(OpenId(who) for who in (by_handler or {}).get(name, ()))


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _changed(content: JsonText | None, effect: OnCard) -> JsonText | None:
    """Return the card that everybody is meant to see after an effect; ``None`` if it is the same."""
    match effect:
        case UpdateCard(card=card, audience=None) if not is_exclusive(card):
            return card
        case UpdateElement(element_id=element_id, element=element) if content is not None:
            return with_element(content, element_id, element)
        case StreamText(element_id=element_id, text=text) if content is not None:
            return with_text(content, element_id, text)
        case _:
            return None
