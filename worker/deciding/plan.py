"""From what a handler wants to rows: each effect's target, eligibility, order and coalescing key."""

from datetime import timedelta
from typing import Final

from shared.core.effects import (
    Effect,
    OnCard,
    Remind,
    Timing,
)
from shared.core.eligibility import UNANSWERED_MS
from shared.core.events import (
    CARD,
    EFFECTS_PER_DECISION,
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
from shared.core.races import Place
from shared.core.targets import message_target
from shared.feishu.audience import audience
from shared.feishu.intended import painted
from worker.deciding.aim import aim, completed, eligibility

_MS: Final = timedelta(milliseconds=1)


def plan(
    effect: Effect,
    asked: Asked,
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
        asked: The input that it was decided from.
        index: Its place in the decision, from 1.
        offset: The input's offset in its partition.
        chat_id: The chat of the input's card, where it is known.
        first_offset: Where the input was logged, if it failed there and is decided again: its answer is long over, and
            its reminders take nobody's place who has decided since.
        answered_at: When the click was answered with which the input began (ms), if that is known.

    Raises:
        HandlerError: The effect changes a card, or asks about one, and the input is about none, or about another one.
    """
    whole = completed(effect, asked, chat_id)
    target, coalesce = aim(whole, asked, chat_id, index)
    return PlannedEffect(
        index=index,
        target=target,
        audience=audience(whole, asked),
        coalesce=coalesce,
        eligibility="at_once" if first_offset is not None else _eligibility(whole, asked, answered_at),
        order=_logged(whole, offset, first_offset) * EFFECTS_PER_DECISION + index,
        due=_due(effect, asked, answered_at),
        effect=whole,
    )


def plan_answer(
    click: InteractionReceived, place: Place, content: JsonText | None, *, offset: int
) -> PlannedEffect | None:
    """
    Return what follows from the card that a click was answered with as effect 0 of its decision: see `painted`.

    Args:
        place: Where the click came in by its handler's race rule.
        content: What the card is meant to show, if that is known.
        offset: The interaction's offset in its partition.
    """
    shown = painted(click, place, content)
    if shown is None or click.message_id is None:
        return None
    return PlannedEffect(
        index=0,
        target=message_target(click.message_id),
        audience=shown.audience,
        coalesce=CARD,
        eligibility="after_answer",
        order=offset * EFFECTS_PER_DECISION,
        effect=shown.effect,
    )


def hand_over(effect: OnCard, asked: Heard, *, index: int) -> RequestReceived:
    """
    Return an update of another card as the request that it leaves as: the same for the same decision.

    Args:
        effect: Of which `shared.feishu.intended.is_about_another_card` holds.
        index: Its place in the decision, from 1.
    """
    request_id = f"{asked.event_id}/{index}"
    return RequestReceived(
        event_id=request_event_id(OURSELVES, request_id),
        app_id=asked.app_id,
        tenant_key=asked.tenant_key,
        message_id=effect.message_id,
        caller=OURSELVES,
        request_id=request_id,
        effects=(effect,),
        occurred_at=asked.occurred_at,
        received_at=asked.received_at,
    )


def _logged(effect: Effect, offset: int, first_offset: int | None) -> int:
    # A card is shown as it is decided now, and goes by now; what a reminder is about may have been settled meanwhile.
    return offset if first_offset is None or not isinstance(effect, Timing) else first_offset


def _eligibility(effect: Effect, asked: Asked, answered_at: EpochMs | None) -> Eligibility:
    came_back = isinstance(asked, CallReturned | TimerFired) and isinstance(effect, OnCard)
    return "after_answer" if came_back and answered_at is not None else eligibility(effect, asked)


def _due(effect: Effect, asked: Asked, answered_at: EpochMs | None) -> EpochMs | None:
    if isinstance(effect, Remind):
        return asked.received_at + effect.after // _MS
    if not isinstance(effect, OnCard) or not isinstance(asked, CallReturned | TimerFired) or asked.clicked_at is None:
        return None
    # What came back at once may have overtaken the answer of the click with which it began (all by the ledger).
    return asked.clicked_at + UNANSWERED_MS if answered_at is None else answered_at
