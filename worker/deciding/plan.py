"""From what a handler wants to rows: each effect's target, eligibility, order and coalescing key."""

from typing import Final, assert_never

import msgspec

from shared.core.effects import AnsweredCard, Effect, RenameChat, SendCard, SendText, UpdateCard
from shared.core.errors import HandlerError
from shared.core.events import (
    CARD,
    CARD_ACTIONS,
    EFFECTS_PER_DECISION,
    NAME,
    OURSELVES,
    Asked,
    Eligibility,
    InteractionReceived,
    PlannedEffect,
    RequestReceived,
    request_event_id,
)
from shared.core.ids import ChatId, MessageId, Target, chat_of_message_target, chat_target, message_target
from shared.core.json_text import JsonText
from shared.feishu.answer import fits_in
from shared.feishu.cards import is_exclusive
from shared.feishu.openapi import target_of

EVERYBODY: Final = "*"


def plan(effect: Effect, click: Asked, *, index: int, offset: int, chat_id: ChatId | None) -> PlannedEffect:
    """
    Return the effect as it is stored.

    Args:
        click: The interaction, or the request, that it was decided from.
        index: Its place in the decision, from 1.
        offset: The input's offset in its partition.
        chat_id: The chat of the input's card, where it is known.

    Raises:
        HandlerError: The effect changes a card, and the input is about none, or about another one.
    """
    target, coalesce = _aim(effect, click, chat_id)
    return PlannedEffect(
        index=index,
        target=target,
        coalesce=coalesce,
        eligibility=_eligibility(effect, click),
        order=offset * EFFECTS_PER_DECISION + index,
        effect=effect,
    )


def plan_answer(click: InteractionReceived, *, offset: int) -> PlannedEffect | None:
    """
    Return the card that a click was to be answered with as effect 0 of its decision, if there is one.

    Where the callback's answer has no place for it, it is an update.

    Args:
        offset: The interaction's offset in its partition.
    """
    card = click.answer.card
    if card is None or click.message_id is None or click.kind not in CARD_ACTIONS:
        return None
    return PlannedEffect(
        index=0,
        target=message_target(click.message_id),
        audience=click.operator.open_id or "" if is_exclusive(card) else "*",
        coalesce=CARD,
        eligibility="after_answer",
        order=offset * EFFECTS_PER_DECISION,
        effect=AnsweredCard(card) if fits_in(card, click.kind) else UpdateCard(card),
    )


def plan_restored(click: InteractionReceived, content: JsonText | None, *, offset: int) -> PlannedEffect | None:
    """
    Return what shows a card again over which the answer to a click was painted that changes nothing, as effect 0.

    An answer that only its clicker sees is left there: it hides nothing from anybody else.

    Args:
        content: What the card is meant to show; ``None``: nobody knows, so the answer stays and is written down.
        offset: The interaction's offset in its partition.
    """
    answer = plan_answer(click, offset=offset)
    if answer is None or answer.audience != EVERYBODY or not isinstance(answer.effect, AnsweredCard):
        return None
    if content is None or content == answer.effect.card:
        return answer
    return msgspec.structs.replace(answer, effect=UpdateCard(content))


def is_about_another_card(effect: Effect, click: InteractionReceived) -> bool:
    """Say whether an effect changes a card that its click did not come from."""
    return isinstance(effect, UpdateCard) and effect.message_id not in {None, click.message_id}


def hand_over(effect: Effect, click: InteractionReceived, *, index: int) -> RequestReceived:
    """
    Return an update of another card as the request that it leaves as: the same for the same decision.

    Args:
        effect: Of which `is_about_another_card` holds.
        index: Its place in the decision, from 1.
    """
    request_id = f"{click.event_id}/{index}"
    return RequestReceived(
        event_id=request_event_id(OURSELVES, request_id),
        app_id=click.app_id,
        tenant_key=click.tenant_key,
        message_id=effect.message_id if isinstance(effect, UpdateCard) else None,
        caller=OURSELVES,
        request_id=request_id,
        effects=(effect,),
        occurred_at=click.occurred_at,
        received_at=click.received_at,
    )


def _aim(effect: Effect, click: Asked, chat_id: ChatId | None) -> tuple[Target, str | None]:
    match effect:
        case UpdateCard():
            if click.message_id is None:
                raise HandlerError("UpdateCard for an event that has no card")
            if effect.message_id not in {None, click.message_id}:
                raise HandlerError("UpdateCard of another card than the one it is decided for")
            return message_target(click.message_id), CARD
        case RenameChat():
            return _chat(effect.chat_id or chat_id, click), NAME
        case SendCard() | SendText():
            return (target_of(effect.to) if effect.to else _chat(chat_id, click)), None
        case _ as unreachable:
            assert_never(unreachable)


def _chat(chat_id: ChatId | None, click: Asked) -> Target:
    # Without a chat the pump asks the platform where the message lies; without a message it refuses: no_chat.
    return chat_target(chat_id) if chat_id else chat_of_message_target(click.message_id or MessageId(click.event_id))


def _eligibility(effect: Effect, click: Asked) -> Eligibility:
    # The platform shows and then reverts an update that overtakes its callback's answer
    # (docs/reference/platform.md, "Delayed updates").
    awaits_an_answer = isinstance(click, InteractionReceived) and click.kind in CARD_ACTIONS
    return "after_answer" if awaits_an_answer and isinstance(effect, UpdateCard) else "at_once"
