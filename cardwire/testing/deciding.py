"""A click decided in a test, twice, as the worker decides it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cardwire.testing.expecting import Result
from cardwire.testing.written import answer_written, difference, written
from shared.app.app import App
from shared.app.handler import HANDLER_S, Handler
from shared.app.interaction import Interaction
from shared.app.known import check_known
from shared.app.race import meet
from shared.app.subject import Subject, fact_of
from shared.core.decision import Card, Decision
from shared.core.errors import HandlerError
from shared.core.events import Answer, Heard
from shared.core.races import NOBODY_YET, Place, Won


class Nondeterministic(AssertionError):
    """A handler decided differently when it was given the same click and card again."""


def given(app: App, card: Card | None = None, *, deadline_s: float = HANDLER_S) -> "Given":
    """
    Start a test of an app's handlers on a card; without one, on a card that nothing was decided about yet.

    A card that nothing is known of, ``Card()``, is none: its handlers see ``None``, as in the worker.

    Args:
        deadline_s: How long a handler may take: one that returns later has failed, as in the worker. One that never
            returns is waited for all the same.

    Raises:
        ConfigError: The app's handlers contradict each other.
    """
    app.check()
    return Given(app=app, card=None if card == Card() else card, deadline_s=deadline_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An app, the card that is clicked next, and how long handlers have (s)."""

    app: App
    card: Card | None
    deadline_s: float = HANDLER_S

    def when(self, interaction: Subject, *, redriven: bool = False) -> Result:
        """
        Decide an interaction, a result or a reminder, twice.

        Args:
            redriven: It failed before and is decided again (``cardwire dlq redrive``): nobody waits for its answer any
                more, so no answered card is shown.

        Raises:
            Nondeterministic: The second decision, or the second answer, is not the first.
        """
        fact = fact_of(interaction)
        handler, card = self.app.handler_for(fact), self._seen(fact)
        answer, again = (Answer() if redriven else _answer(self.app, interaction) for _ in range(2))
        answers = answer_written(answer), answer_written(again)
        if answers[0] != answers[1]:
            raise Nondeterministic(f"the same was answered differently:\n{difference(*answers)}")
        if handler is None:
            return Result(interaction=interaction, answer=answer, before=card, handler=None, decided=None)
        (place, first), (_, second) = (self._decided(handler, interaction, card) for _ in range(2))
        decisions = written(first), written(second)
        if decisions[0] != decisions[1]:
            raise Nondeterministic(
                f"{handler.name} decided differently when it was given the same click and card again; handlers have "
                f"no clock (use click.now), no chance and no memory (use state):\n{difference(*decisions)}"
            )
        return Result(interaction=interaction, answer=answer, before=card, handler=handler, decided=first, place=place)

    def _seen(self, fact: Heard) -> Card | None:
        """Return the card for the handler: in the chat that the input comes from, where that is said."""
        return None if self.card is None else replace(self.card, chat_id=fact.chat_id or self.card.chat_id)

    def _decided(
        self, handler: Handler, interaction: Subject, card: Card | None
    ) -> tuple[Place, Decision | HandlerError]:
        place: Place = Won(NOBODY_YET)
        try:
            met = meet(handler, interaction, card)
            place = met.place
            return place, Decision() if met.step is None else self._run(handler, met.step)
        except HandlerError as error:
            return place, error

    def _run(self, handler: Handler, step: Callable[[], Decision]) -> Decision:
        began = time.monotonic()
        decision = step()
        if time.monotonic() - began > self.deadline_s:
            raise HandlerError(f"deadline: {handler.name} took longer than {self.deadline_s:g} s")
        check_known(self.app, handler, decision.effects)
        return decision


def _answer(app: App, interaction: Subject) -> Answer | HandlerError:
    if not isinstance(interaction, Interaction):
        return Answer()  # Nobody waits for one.
    try:
        return app.answer_for(interaction.received)
    except HandlerError as error:
        return error
