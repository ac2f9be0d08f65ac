"""
The fold: what the ledger must hold, from the outcomes topic alone.

`Decided` carries the card's whole state after it and every effect's whole payload; outcomes are absolute. So the
newest of each wins, whatever order or how often records are read: folding is idempotent and commutative.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.core.cards import CardFormat, card_format
from shared.core.effects import AnsweredCard, OnCard, Reply, SendCard, StoredEffect
from shared.core.events import (
    TOO_OLD,
    ClaimResult,
    Decided,
    EffectOutcome,
    Output,
    PlannedEffect,
    origin_of,
    sends_a_successor,
)
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId, MessageId, OpenId
from shared.core.json_text import EpochMs, JsonText
from shared.core.races import NOBODY_YET, Standing, Standings, joined, standings_text
from shared.core.targets import card_of_unknown_chat


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedClaim:
    """An input that was decided."""

    delivery_key: DeliveryKey | None
    result: ClaimResult
    redrive: int
    handler: str | None
    digest: str | None
    reason: str | None
    partition: int
    offset: int
    message_id: MessageId | None
    open_id: OpenId | None
    occurred_at: EpochMs
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedCard:
    """A card as decided."""

    version: int
    state: JsonText | None
    content: JsonText | None
    newest_at: EpochMs | None
    rules: JsonText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedFace:
    """A card as the platform has it, as far as we know."""

    chat_id: ChatId | None = None
    sent_at: EpochMs | None = None
    sent: JsonText | None = None
    card_format: CardFormat | None = None
    shown: str | None = None
    shown_order: int | None = None
    card_id: str | None = None
    sequence: int | None = None
    expired: bool | None = None
    successor: MessageId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedEffect:
    """An effect and its standing: ``pending`` until a final outcome."""

    effect: StoredEffect
    status: str
    k: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedToken:
    """What is left of a click's right to update its card; of a right that no effect needed nothing is told."""

    uses_left: int


@dataclass(slots=True)
class Folded:
    """The ledger, folded."""

    claims: dict[tuple[AppId, EventId], FoldedClaim] = field(default_factory=dict)
    cards: dict[tuple[AppId, MessageId], FoldedCard] = field(default_factory=dict)
    faces: dict[tuple[AppId, MessageId], FoldedFace] = field(default_factory=dict)
    effects: dict[tuple[AppId, EventId, int], FoldedEffect] = field(default_factory=dict)
    tokens: dict[tuple[AppId, EventId], FoldedToken] = field(default_factory=dict)


def fold(outputs: Iterable[Output]) -> Folded:
    """Return what these records say together; duplicates and order do not matter."""
    decisions: dict[tuple[AppId, EventId], Decided] = {}
    outcomes: dict[tuple[AppId, EventId, int], dict[int, EffectOutcome]] = {}
    for output in outputs:
        if isinstance(output, Decided):
            key = (output.app_id, output.event_id)
            if key not in decisions or decisions[key].redrive < output.redrive:
                decisions[key] = output
        else:
            outcomes.setdefault((output.app_id, output.event_id, output.index), {})[output.k] = output
    folded = Folded()
    races = _races(decisions.values())
    for decided in decisions.values():
        _decided(folded, decided, races)
        for planned in decided.effects:
            _effect(folded, decided, planned, outcomes.get((decided.app_id, decided.event_id, planned.index), {}))
    return folded


def _races(decisions: Iterable[Decided]) -> Mapping[tuple[AppId, MessageId], Standings]:
    """Return how the races on every card stand: each decision tells who joined, and its card's version when."""
    races: dict[tuple[AppId, MessageId], Standings] = {}
    for decided in sorted(decisions, key=lambda one: one.version):
        added = Standing(winners=decided.winners, voters=decided.voters)
        if decided.message_id is not None and decided.handler is not None and added != NOBODY_YET:
            key = (decided.app_id, decided.message_id)
            races[key] = joined(races.get(key, {}), decided.handler, added)
    return races


def _decided(folded: Folded, decided: Decided, races: Mapping[tuple[AppId, MessageId], Standings]) -> None:
    folded.claims[decided.app_id, decided.event_id] = FoldedClaim(
        delivery_key=decided.delivery_key,
        result=decided.result,
        redrive=decided.redrive,
        handler=decided.handler,
        digest=decided.digest,
        reason=decided.reason,
        partition=decided.partition,
        offset=decided.offset,
        message_id=decided.message_id,
        open_id=decided.open_id,
        occurred_at=decided.occurred_at,
        late=decided.late,
    )
    if decided.message_id is None or decided.version == 0:
        return
    key = (decided.app_id, decided.message_id)
    if key not in folded.cards or folded.cards[key].version < decided.version:
        folded.cards[key] = FoldedCard(
            version=decided.version,
            state=decided.state,
            content=decided.intended,
            newest_at=decided.newest_at,
            rules=standings_text(races.get(key, {})),
        )


def _effect(folded: Folded, decided: Decided, planned: PlannedEffect, outcomes: Mapping[int, EffectOutcome]) -> None:
    last = outcomes[max(outcomes)] if outcomes else None
    folded.effects[decided.app_id, decided.event_id, planned.index] = FoldedEffect(
        effect=planned.effect,
        status=last.status if last and last.final else "pending",
        k=last.k if last else 0,
        attempts=last.attempts if last else 0,
    )
    for outcome in outcomes.values():
        _face(folded, planned, outcome)
        _token(folded, outcome)


def _token(folded: Folded, outcome: EffectOutcome) -> None:
    """Note the uses of a right: a use that was none was given back before anything was told, so the least is true."""
    if outcome.uses_left is not None:
        key = (outcome.app_id, origin_of(outcome.event_id))
        told = [outcome.uses_left, *([folded.tokens[key].uses_left] if key in folded.tokens else [])]
        folded.tokens[key] = FoldedToken(uses_left=min(told))


def _face(folded: Folded, planned: PlannedEffect, outcome: EffectOutcome) -> None:
    """Note what an outcome tells about a card on the platform: sent, updated, or found in a chat."""
    if outcome.sent_message_id and isinstance(planned.effect, SendCard | Reply) and planned.effect.card is not None:
        _merge(
            folded,
            (outcome.app_id, outcome.sent_message_id),
            FoldedFace(
                chat_id=outcome.chat_id,
                sent_at=outcome.sent_at,
                sent=planned.effect.card,
                card_format=card_format(planned.effect.card),
            ),
        )
        if outcome.message_id and sends_a_successor(outcome.event_id):
            old = (outcome.app_id, outcome.message_id)
            _merge(folded, old, FoldedFace(successor=outcome.sent_message_id))
    if outcome.message_id and outcome.code == TOO_OLD and isinstance(planned.effect, OnCard | AnsweredCard):
        _merge(folded, (outcome.app_id, outcome.message_id), FoldedFace(expired=True))
    if outcome.message_id and outcome.chat_id and card_of_unknown_chat(planned.target) is not None:
        _merge(folded, (outcome.app_id, outcome.message_id), FoldedFace(chat_id=outcome.chat_id))
    if outcome.message_id and outcome.card_id:
        _merge(
            folded,
            (outcome.app_id, outcome.message_id),
            FoldedFace(card_id=outcome.card_id, sequence=outcome.sequence),
        )
    if outcome.message_id and outcome.shown:
        _merge(
            folded,
            (outcome.app_id, outcome.message_id),
            FoldedFace(shown=outcome.shown, shown_order=outcome.shown_order, card_format=outcome.card_format),
        )


def _merge(folded: Folded, key: tuple[AppId, MessageId], new: FoldedFace) -> None:
    old = folded.faces.get(key, FoldedFace())
    newer = new.shown_order is not None and (old.shown_order is None or new.shown_order >= old.shown_order)
    folded.faces[key] = FoldedFace(
        chat_id=old.chat_id or new.chat_id,
        sent_at=old.sent_at or new.sent_at,
        sent=old.sent or new.sent,
        card_format=(new.card_format if newer else old.card_format) or new.card_format,
        shown=new.shown if newer else old.shown,
        shown_order=new.shown_order if newer else old.shown_order,
        card_id=old.card_id or new.card_id,
        expired=old.expired or new.expired,
        successor=old.successor or new.successor,
        sequence=max((each for each in (old.sequence, new.sequence) if each is not None), default=None),
    )
