"""What was decided in a test, and what the test expects of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cardwire.testing.following import card_after
from cardwire.testing.written import answer_written, difference, written
from shared.app.answering import Asked, answered
from shared.app.handler import Handler
from shared.app.subject import Subject
from shared.core.answers import AnswerValue
from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.effects import Effect
from shared.core.errors import HandlerError
from shared.core.events import Answer
from shared.core.races import NOBODY_YET, Counted, Lost, LostReason, Place, Won


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
        if written(expected) != written(self.decided):
            told = difference(written(expected), written(self.decided))
            raise AssertionError(f"{self._who} decided otherwise:\n{told}") from self._error
        return self

    def answered(self, answer: AnswerValue | None) -> "Result":
        """
        Expect that the person who clicked, or sees the link, is answered with this at once; ``None``: with nothing.

        Raises:
            AssertionError: It is another, or the function that makes it failed.
        """
        asked: Asked = "link" if self.interaction.kind == "link_preview" else "click"
        expected, shown = answer_written(answered(answer, rule="", asked=asked)), answer_written(self.answer)
        if shown != expected:
            who = self.answer.rule if isinstance(self.answer, Answer) else self._who
            raise AssertionError(f"{who} answered otherwise:\n{difference(expected, shown)}")
        return self

    def ignored(self) -> "Result":
        """Expect that no handler matched."""
        if self.handler is not None:
            raise AssertionError(f"{self._who} decided it, expected no handler to match")
        return self

    def failed(self, reason: str = "") -> "Result":
        """Expect that the handler failed, for a reason that holds this text, as ``ValueError in follow_up``."""
        if not isinstance(self.decided, HandlerError) or reason not in str(self.decided):
            decided = written(self.decided)
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
        answer = self.answer if isinstance(self.answer, Answer) else Answer()
        return card_after(before, self.interaction, answer, self.place, self.decided, handler=self._who)

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
