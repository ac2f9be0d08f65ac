"""From what a handler wants to rows: each effect's target, eligibility, order and coalescing key."""

from datetime import timedelta
from typing import Final, TypeGuard

from msgspec.structs import replace

from shared.core.effects import (
    AnsweredCard,
    Effect,
    OnCard,
    Remind,
    Timing,
    UpdateCard,
)
from shared.core.eligibility import UNANSWERED_MS
from shared.core.events import (
    CARD,
    CARD_ACTIONS,
    EFFECTS_PER_DECISION,
    EVERYBODY,
    OURSELVES,
    Asked,
    CallReturned,
    Eligibility,
    Heard,
    InteractionReceived,
    PlannedEffect,
    RequestReceived,
    TimerFired,
    request_event_id,
)
from shared.core.ids import ChatId
from shared.core.json_text import EpochMs, JsonText
from shared.core.targets import message_target
from shared.feishu.answer import fits_in
from shared.feishu.cards import is_exclusive
from worker.deciding.aim import aim, audience, clicker, completed, eligibility

_MS: Final = timedelta(milliseconds=1)


def plan(
    effect: Effect,
    click: Asked,
    *,
    index: int,
    offset: int,
    chat_id: ChatId | None,
    first_offset: int | None = None,
    answered_at: EpochMs | None = None,
) -> PlannedEffect:
    """
    Return the effect as it is stored.

    Args:
        click: The interaction, or the request, that it was decided from.
        index: Its place in the decision, from 1.
        offset: The input's offset in its partition.
        chat_id: The chat of the input's card, where it is known.
        first_offset: Where the input was logged, if it failed there and is decided again: its answer is long over, and
            its reminders take nobody's place who has decided since.
        answered_at: When the click was answered with which the input began (ms), if that is known.

    Raises:
        HandlerError: The effect changes a card, or asks about one, and the input is about none, or about another one.
    """
    whole = completed(effect, click, chat_id)
    target, coalesce = aim(whole, click, chat_id, index)
    return PlannedEffect(
        index=index,
        target=target,
        audience=audience(whole, click),
        coalesce=coalesce,
        eligibility="at_once" if first_offset is not None else _eligibility(whole, click, answered_at),
        order=_logged(whole, offset, first_offset) * EFFECTS_PER_DECISION + index,
        due=_due(effect, click, answered_at),
        effect=whole,
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
        audience=clicker(click) if is_exclusive(card) else EVERYBODY,
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
    return replace(answer, effect=UpdateCard(content))


def is_about_another_card(effect: Effect, click: Heard) -> TypeGuard[OnCard]:
    """Say whether an effect changes a card that its click did not come from."""
    return isinstance(effect, OnCard) and effect.message_id not in {None, click.message_id}


def hand_over(effect: OnCard, click: Heard, *, index: int) -> RequestReceived:
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
        message_id=effect.message_id,
        caller=OURSELVES,
        request_id=request_id,
        effects=(effect,),
        occurred_at=click.occurred_at,
        received_at=click.received_at,
    )


def _logged(effect: Effect, offset: int, first_offset: int | None) -> int:
    # A card is shown as it is decided now, and goes by now; what a reminder is about may have been settled meanwhile.
    return offset if first_offset is None or not isinstance(effect, Timing) else first_offset


def _eligibility(effect: Effect, click: Asked, answered_at: EpochMs | None) -> Eligibility:
    came_back = isinstance(click, CallReturned | TimerFired) and isinstance(effect, OnCard)
    return "after_answer" if came_back and answered_at is not None else eligibility(effect, click)


def _due(effect: Effect, click: Asked, answered_at: EpochMs | None) -> EpochMs | None:
    if isinstance(effect, Remind):
        return click.received_at + effect.after // _MS
    if not isinstance(effect, OnCard) or not isinstance(click, CallReturned | TimerFired) or click.clicked_at is None:
        return None
    # What came back at once may have overtaken the answer of the click with which it began (all by the ledger).
    return click.clicked_at + UNANSWERED_MS if answered_at is None else answered_at
