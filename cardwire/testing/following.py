"""The card as a decision leaves it: what the next click of a test meets, as it would in the worker."""

from msgspec.structs import replace

from shared.app.next_card import Change, next_card
from shared.app.subject import Subject, fact_of
from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.events import Answer, Heard, InteractionReceived
from shared.core.json_text import JsonText, json_text
from shared.core.races import NOBODY_YET, Lost, Place, Won
from shared.feishu.audience import audience
from shared.feishu.intended import Shown, intended, is_about_another_card, painted


def card_after(
    before: Card, subject: Subject, answer: Answer, place: Place, decision: Decision, *, handler: str
) -> Card:
    """
    Return the card after a decision.

    Args:
        answer: What the person was answered with; the empty one, if the answer failed or is long over.
        place: Where the click came in by its handler's race rule.
    """
    fact = fact_of(subject)
    if fact.message_id is None:
        return before
    change = Change(
        decides=isinstance(place, Won),
        state=None if decision.state is UNCHANGED else json_text(decision.state),
        content=_intended(before.content_text, fact, answer, place, decision),
        handler=handler,
        added=NOBODY_YET if isinstance(place, Lost) else place.added,
    )
    return next_card(before, change) or before


def _intended(
    before: JsonText | None, fact: Heard, answer: Answer, place: Place, decision: Decision
) -> JsonText | None:
    first = painted(replace(fact, answer=answer), place, before) if isinstance(fact, InteractionReceived) else None
    decided = [
        Shown(effect=effect, audience=audience(effect, fact))
        for effect in decision.effects
        if not is_about_another_card(effect, fact)
    ]
    return intended(decided if first is None else [first, *decided], before)
