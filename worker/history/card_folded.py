"""
A card's story as the ledger would tell it, made of what the log holds alone (pure).

The rows are the fold's (`shared.core.fold`), which says for all what the log means. What only the ledger knows is left
out: leases, paces, suspensions.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.core.eligibility import wait_ms
from shared.core.events import Decided, EffectOutcome, InteractionAnswered, InteractionReceived
from shared.core.fold import step
from shared.core.folded import EffectKey, Folded, FoldedClaim, FoldedEffect, FoldedFace, FoldedLetter, RightKey
from shared.core.ids import AppId, ChatId, EventId, MessageId
from shared.core.json_text import EpochMs
from shared.core.races import read_standings
from shared.core.rights import Right
from shared.feishu.limits import CARD_TOKEN_USES, CARD_TOKEN_VALID_MS
from worker.history.card import Logged
from worker.history.card_history import Buried, CardEffect, CardHistory, CardInput, UsesLeft

_UNKNOWN: Final = FoldedFace()


@dataclass(slots=True, kw_only=True)
class _Card:
    """
    What was read of a card.

    Attributes:
        folded: Its rows, and those of the decision that sent it.
        clicks: What came in, each repetition once, and `marks` of them.
        sent: The outcomes by which it was sent.
        decisions: What was decided about it.
    """

    folded: Folded = field(default_factory=Folded)
    clicks: dict[EventId, InteractionReceived] = field(default_factory=dict)
    marks: dict[EventId, InteractionAnswered] = field(default_factory=dict)
    sent: list[EffectOutcome] = field(default_factory=list)
    decisions: list[Decided] = field(default_factory=list)

    @classmethod
    def of(cls, message_id: MessageId, logged: Iterable[Logged]) -> "_Card":
        card = cls()
        for one in logged:
            match one.event:
                case InteractionReceived() as click:
                    card.clicks.setdefault(click.event_id, click)
                case InteractionAnswered() as mark:
                    card.marks.setdefault(mark.event_id, mark)
                case Decided() as decided:
                    step(card.folded, decided)
                    if decided.message_id == message_id:
                        card.decisions.append(decided)
                case EffectOutcome() as outcome:
                    step(card.folded, outcome)
                    if outcome.sent_message_id == message_id:
                        card.sent.append(outcome)
                case _:
                    pass  # what was decided about it says so
        return card


def history_of(
    app_id: AppId, message_id: MessageId, logged: Sequence[Logged], *, now: EpochMs, last: int, settle_ms: int
) -> CardHistory:
    """
    Return a card's story.

    Args:
        logged: What the log holds of it: `worker.history.card.logged_of_card`.
        now: The time (ms), by which waiting effects and rights are told.
        last: How many of its inputs, newest first.
        settle_ms: How long a worker waits after an answered mark.
    """
    card = _Card.of(message_id, logged)
    decided = card.folded.cards.get((app_id, message_id))
    face = card.folded.faces.get((app_id, message_id), _UNKNOWN)
    inputs = [_input(event_id, claim) for event_id, claim in _claims(card, message_id)]
    shown = inputs[-last:]
    told = {one.event_id: card.clicks.get(one.event_id) for one in shown}
    return CardHistory(
        app_id=app_id,
        message_id=message_id,
        now=now,
        version=0 if decided is None else decided.version,
        chat_id=_chat(card, face),
        sent_at=_sent_at(card, face),
        card_format=face.card_format,
        successor=face.successor,
        inputs=shown,
        older=len(inputs) - len(shown),
        effects=[_effect(card, key, effect, settle_ms) for key, effect in _effects(card, told)],
        letters=[_buried(key[1], letter) for key, letter in card.folded.letters.items() if key[1] in told],
        standings={},
        silent_until={},
        tokens=[right for click in told.values() if click is not None for right in _rights(card, click, now)],
        races={} if decided is None else read_standings(decided.rules),
    )


def _chat(card: _Card, face: FoldedFace) -> ChatId | None:
    """Return where the card is: as the ledger has it, else as a click, or the decisions about it, tell."""
    told = [
        face.chat_id,
        *(outcome.chat_id for outcome in card.sent),
        *(click.chat_id for click in card.clicks.values()),
        *(decided.seen.chat_id for decided in card.decisions if decided.seen is not None),
    ]
    return next((chat_id for chat_id in told if chat_id is not None), None)


def _sent_at(card: _Card, face: FoldedFace) -> EpochMs | None:
    """Return when we sent the card: also where the decision to send it, or all of its sending, has left the log."""
    told = [
        face.sent_at,
        *(outcome.sent_at for outcome in card.sent),
        *(decided.seen.sent_at for decided in card.decisions if decided.seen is not None),
    ]
    return next((sent_at for sent_at in told if sent_at is not None), None)


def _claims(card: _Card, message_id: MessageId) -> Sequence[tuple[EventId, FoldedClaim]]:
    """Return the card's inputs in the order of the log."""
    of = [(event_id, claim) for (_, event_id), claim in card.folded.claims.items() if claim.message_id == message_id]
    return sorted(of, key=lambda one: (one[1].partition, one[1].offset))


def _input(event_id: EventId, claim: FoldedClaim) -> CardInput:
    return CardInput(
        event_id=event_id,
        occurred_at=claim.occurred_at,
        decided_at=claim.decided_at,
        open_id=claim.open_id,
        handler=claim.handler,
        result=claim.result,
        reason=claim.reason,
        late=claim.late,
        redrive=claim.redrive,
        partition=claim.partition,
        offset=claim.offset,
    )


def _effects(card: _Card, told: Container[EventId]) -> Sequence[tuple[EffectKey, FoldedEffect]]:
    of = [(key, effect) for key, effect in card.folded.effects.items() if key[1] in told]
    return sorted(of, key=lambda one: (one[1].order, one[0]))


def _effect(card: _Card, key: EffectKey, effect: FoldedEffect, settle_ms: int) -> CardEffect:
    _, event_id, index = key
    mark = card.marks.get(event_id)
    return CardEffect(
        event_id=event_id,
        index=index,
        kind=type(effect.effect).__name__,
        target=effect.target,
        audience=effect.audience,
        eligibility=effect.eligibility,
        status=effect.status,
        k=effect.k,
        attempts=effect.attempts,
        due=_due(effect, mark, settle_ms),
        decided_at=effect.decided_at,
        marked_at=mark.answered_at if mark is not None and effect.marked_at is None else effect.marked_at,
        outcome=effect.outcome,
    )


def _due(effect: FoldedEffect, mark: InteractionAnswered | None, settle_ms: int) -> EpochMs:
    """Return when an effect is tried next, or first."""
    if effect.outcome is not None:
        return effect.outcome.finished_at if effect.due is None else effect.due
    since = effect.decided_at if mark is None else max(effect.decided_at, mark.answered_at)
    delivered = None if mark is None else mark.delivered
    return since + wait_ms(effect, since=since, delivered=delivered, settle_ms=settle_ms)


def _buried(event_id: EventId, letter: FoldedLetter) -> Buried:
    return Buried(
        event_id=event_id,
        handler=letter.named,
        reason=letter.reason or "failed",
        died_at=letter.died_at,
        parks=letter.parks,
    )


def _rights(card: _Card, click: InteractionReceived, now: EpochMs) -> Iterator[UsesLeft]:
    """Yield what is left of a click's rights that something may need, until they lapse."""
    until = click.received_at + CARD_TOKEN_VALID_MS
    given: dict[Right, str | None] = {"card": click.card_token, "preview": click.preview_token}
    for kind, token in given.items():
        left = card.folded.tokens.get(RightKey(click.app_id, click.event_id, kind))
        if token is not None and left is not None and now < until:
            uses_left = CARD_TOKEN_USES if left.uses_left is None else left.uses_left
            yield UsesLeft(event_id=click.event_id, kind=kind, uses_left=uses_left, until=until)
