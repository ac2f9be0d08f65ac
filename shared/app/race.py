"""Race rules, as handlers declare them and as a click meets them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, assert_never

from shared.app.decide import run
from shared.app.handler import Handler
from shared.app.interaction import Interaction
from shared.app.subject import Subject
from shared.core import races
from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.errors import ConfigError, HandlerError
from shared.core.races import NOBODY_YET, Counted, Lost, OncePerCard, OncePerUser, Place, Quorum, Rule, Won

ONCE: Final[dict[str, Rule]] = {"per_card": OncePerCard(), "per_user": OncePerUser()}


def declared_rule(once: object, quorum: object) -> Rule | None:
    """
    Return the rule that a handler is registered with; ``None``: there is none, every click is decided.

    Raises:
        ConfigError: It is no rule, or two.
    """
    if once is not None and quorum is not None:
        raise ConfigError('once= and quorum= exclude each other: expected one of them, as in once="per_card"')
    if once is not None:
        rule = ONCE.get(once) if isinstance(once, str) else None
        if rule is None:
            raise ConfigError(f'once={once!r}: expected "per_card" or "per_user", as in once="per_card"')
        return rule
    if quorum is None:
        return None
    if type(quorum) is not int or quorum < 2:  # noqa: PLR2004  of one person it would be once="per_card"
        raise ConfigError(f"quorum={quorum!r}: expected how many people have to click, 2 or more, as in quorum=3")
    return Quorum(quorum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """
    What an input comes to by its handler's rule.

    Attributes:
        place: Where it came in; what is no click, and what meets no rule, wins, and nobody is written down.
        step: Calls the user code that decides it, the handler or its ``lost=``, and returns the decision or raises
            `HandlerError`; ``None``: nothing is to be called, and nothing is decided.
    """

    place: Place
    step: Callable[[], Decision] | None


def meet(handler: Handler, subject: Subject, card: Card | None) -> Met:
    """
    Return what an input comes to by its handler's rule, and what is to be called for it: nothing has been called yet.

    Args:
        card: The card that it is about, with the inputs before this one.

    Raises:
        HandlerError: There is a rule, and the click names no card, or nobody who clicked.
    """
    if not isinstance(subject, Interaction):
        return Met(place=Won(NOBODY_YET), step=partial(run, handler, subject, card))
    place, seen = enter(handler, subject, card)
    match place:
        case Won():
            return Met(place=place, step=partial(run, handler, seen, card))
        case Lost() if handler.lost is not None:
            return Met(place=place, step=partial(lose, handler.lost, seen, card))
        case Counted() | Lost():
            return Met(place=place, step=None)
        case _ as unreachable:
            assert_never(unreachable)


def enter(handler: Handler, click: Interaction, card: Card | None) -> tuple[Place, Interaction]:
    """
    Return where a click comes in by its handler's rule, and the click as user code is to see it.

    Without a rule every click wins, and nobody is written down.

    Args:
        card: The card that was clicked, with the clicks before this one.

    Raises:
        HandlerError: There is a rule, and the click names no card, or nobody who clicked.
    """
    if handler.rule is None:
        return Won(NOBODY_YET), click
    who = click.operator.open_id
    if click.message_id is None or who is None:
        missing = "no card" if click.message_id is None else "nobody (no open_id)"
        raise HandlerError(f"{handler.name} has a race rule, but the click names {missing}")
    standing = card.rules.get(handler.name, NOBODY_YET) if card else NOBODY_YET
    match races.enter(handler.rule, standing, who):
        case Won(added=added) | Counted(added=added) as place:
            return place, replace(click, standing=standing.plus(added))
        case Lost() as place:
            return place, replace(click, standing=standing)


def lose(lost: Handler, click: Interaction, card: Card | None) -> Decision:
    """
    Return what happens for a click that came too late, as its handler's ``lost=`` decides.

    Raises:
        HandlerError: It failed, or returned state: that is the winner's.
    """
    decision = run(lost, click, card)
    if decision.state is not UNCHANGED:
        raise HandlerError(f"lost= of {lost.name} returned state, which is for the handler itself to decide")
    return decision
