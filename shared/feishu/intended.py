"""
The card that we intend to show after a decision (pure).

A worker keeps it with the card, and tests of handlers give it to the next click.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from shared.core.effects import AnsweredCard, OnCard, StoredEffect, StreamText, UpdateCard, UpdateElement
from shared.core.events import CARD_ACTIONS, EVERYBODY, Heard, InteractionReceived, PlannedEffect
from shared.core.json_text import JsonText
from shared.core.races import Lost, Place
from shared.feishu.answer import fits_in
from shared.feishu.audience import audience
from shared.feishu.elements import with_element, with_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An effect, and who sees it: see `shared.feishu.audience`."""

    effect: StoredEffect
    audience: str


def painted(click: InteractionReceived, place: Place, content: JsonText | None) -> Shown | None:
    """
    Return what follows from the card that a click was answered with; ``None``: nothing.

    Where the callback's answer has no place for that card, it is an update. Over the answer to a click that lost, which
    changes nothing, the card is shown again. An answer that only its clicker sees is left there: it hides nothing from
    anybody else.

    Args:
        place: Where the click came in by its handler's race rule.
        content: What the card is meant to show; ``None``: nobody knows, so the answer stays and is written down.
    """
    card = click.answer.card
    if card is None or click.message_id is None or click.kind not in CARD_ACTIONS:
        return None
    effect = AnsweredCard(card) if fits_in(card, click.kind) else UpdateCard(card)
    answer = Shown(effect=effect, audience=audience(effect, click))
    return _restored(answer, content) if isinstance(place, Lost) else answer


def _restored(answer: Shown, content: JsonText | None) -> Shown | None:
    if answer.audience != EVERYBODY or not isinstance(answer.effect, AnsweredCard):
        return None
    if content is None or content == answer.effect.card:
        return answer
    return Shown(effect=UpdateCard(content), audience=EVERYBODY)


def is_about_another_card(effect: StoredEffect, asked: Heard) -> TypeGuard[OnCard]:
    """Say whether an effect changes a card that its input is not about."""
    return isinstance(effect, OnCard) and effect.message_id not in {None, asked.message_id}


def intended(effects: Sequence[PlannedEffect | Shown], before: JsonText | None) -> JsonText | None:
    """
    Return the card after these effects on it, if they change what everybody is to see of it; else ``None``.

    A part is changed in the card that we know; where we know none, or none with such an element, it stays as it is.

    Args:
        before: The card that was intended before them, if we know it.
    """
    content = before
    for shown in effects:
        if shown.audience == EVERYBODY:
            content = _after(shown.effect, content) or content
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


def _is_whole(effects: Sequence[PlannedEffect | Shown]) -> bool:
    return any(isinstance(shown.effect, UpdateCard | AnsweredCard) and shown.audience == EVERYBODY for shown in effects)
