"""The card that we intend to show after a decision (pure)."""

from collections.abc import Sequence

from shared.core.effects import AnsweredCard, StoredEffect, StreamText, UpdateCard, UpdateElement
from shared.core.events import EVERYBODY, PlannedEffect
from shared.core.json_text import JsonText
from shared.feishu.elements import with_element, with_text


def intended(effects: Sequence[PlannedEffect], before: JsonText | None) -> JsonText | None:
    """
    Return the card after these effects, if they change what everybody is to see of it; else ``None``.

    A part is changed in the card that we know; where we know none, or none with such an element, it stays as it is.

    Args:
        before: The card that was intended before them, if we know it.
    """
    content = before
    for planned in effects:
        if planned.audience == EVERYBODY:
            content = _after(planned.effect, content) or content
    return None if content == before and not _is_whole(effects) else content


def _after(effect: StoredEffect, card: JsonText | None) -> JsonText | None:
    match effect:
        case UpdateCard(card=shown) | AnsweredCard(card=shown):
            return shown
        case UpdateElement(element_id=element_id, element=element) if card is not None:
            return with_element(card, element_id, element)
        case StreamText(element_id=element_id, text=text) if card is not None:
            return with_text(card, element_id, text)
        case _:
            return None


def _is_whole(effects: Sequence[PlannedEffect]) -> bool:
    return any(
        isinstance(planned.effect, UpdateCard | AnsweredCard) and planned.audience == EVERYBODY for planned in effects
    )
