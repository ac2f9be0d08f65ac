"""
Which ends of effects are dead letters: what a person should look at, because somebody has to mend something (pure).

One rule, for what is counted, how loud its line is, and what `cardwire dlq` lists. Handled is what somebody has seen
to: a failure that came back to its handler, a card past its time (its author said by ``on_expired`` what is done then).
"""

from collections.abc import Mapping
from typing import Final, Literal

from shared.core.events import EffectOutcome

EXPIRED: Final = "expired"

Mended = Literal["code", "nobody"]

REFUSED: Final[Mapping[str, tuple[Mended, str]]] = {
    "expired": ("nobody", "the card is past its time, and on_expired says what is done then"),
    "too_large": ("code", "the platform takes no card or text of this size: the handler has to make a smaller one"),
    "too_many_elements": (
        "code",
        "the platform takes no card of so many elements: the handler has to make a smaller one",
    ),
    "no_chat": ("code", "nobody can say in which chat: the handler has to name one (chat_id=…)"),
    "no_entity": ("code", "this card has no parts that can be changed: the handler has to update the whole card"),
    "not_2_0": (
        "code",
        'only a card that says "schema": "2.0" has parts that can be changed: send it so, or update all of it',
    ),
    "no_token": (
        "code",
        "what came in gave no right to show this to one person: only a click on a card does, and a preview",
    ),
    "token_spent": ("code", "a click's right serves twice: the handler has to show one person less often"),
    "token_expired": ("code", "a click's right ends after 30 minutes: what comes later needs a card of its own"),
}
"""Why a rule of ours made no call, who has to mend something, and what."""


def is_dead_letter(outcome: EffectOutcome, *, followed: bool) -> bool:
    """
    Say whether somebody should look at what became of an effect.

    Args:
        followed: Its failure was told to its handler, or a card is sent in its place.
    """
    if not outcome.final or followed:
        return False
    match outcome.status:
        case "failed":
            return outcome.reason != EXPIRED
        case "refused":
            return REFUSED.get(outcome.reason or "", ("code", ""))[0] == "code"
        case _:
            return False


def stays(outcome: EffectOutcome, *, returned: bool) -> str | None:
    """
    Return why an effect that ended badly is not tried again; ``None``: it may be.

    Args:
        returned: It is of a kind whose failure its handler hears of.
    """
    if returned:
        return "its handler was told of the failure and has decided: see on_result"
    if outcome.reason == EXPIRED:
        return REFUSED[EXPIRED][1]
    if outcome.status == "refused":
        return f"it would be refused again: {REFUSED.get(outcome.reason or '', ('', 'correct the handler'))[1]}"
    return None
