"""
The fold: what the ledger must hold, from the outcomes topic alone.

`Decided` carries the card's whole state after it and every effect's whole payload; outcomes are absolute. So one
record after the other is taken in, and what is not newer than what is known changes nothing: a record may be read as
often as it likes. One reducer serves both, a fold of everything in memory and a rebuild piece by piece in a database.

Of one effect the outcomes, and of one card the decisions, are to be stepped through in the order in which they were
told, as they lie in their partition of the log; repetitions may stand anywhere behind. Partitions may follow each other
in any order: what of a card's face is told in another one's, its sending, joins either way.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from shared.core.cards import card_format
from shared.core.effects import AnsweredCard, OnCard, Reply, SendCard
from shared.core.events import (
    REDRIVEN,
    TOO_OLD,
    Decided,
    EffectOutcome,
    Output,
    PlannedEffect,
    origin_of,
    sends_a_successor,
)
from shared.core.folded import (
    CardKey,
    Folded,
    FoldedCard,
    FoldedClaim,
    FoldedEffect,
    FoldedFace,
    FoldedLetter,
    FoldedToken,
    RightKey,
)
from shared.core.json_text import JsonText
from shared.core.races import read_standings, standings_text
from shared.core.rights import Right, needed
from shared.core.targets import card_of_unknown_chat, chat_in

_UNKNOWN: Final = FoldedFace()
_UNTOLD: Final = FoldedToken()


def fold(outputs: Iterable[Output]) -> Folded:
    """Return what these records say together; duplicates and order do not matter."""
    decisions: list[Decided] = []
    outcomes: list[EffectOutcome] = []
    for output in outputs:
        (decisions if isinstance(output, Decided) else outcomes).append(output)  # type: ignore[arg-type]
    folded = Folded()
    for decided in sorted(decisions, key=attrgetter("version", "redrive")):
        step(folded, decided)
    for outcome in sorted(outcomes, key=_told):
        step(folded, outcome)
    return folded


def _told(outcome: EffectOutcome) -> tuple[int, int]:
    """Return an order that is that of telling for each effect, and for what each card shows."""
    return (-1 if outcome.shown_order is None else outcome.shown_order, outcome.k)


def step(folded: Folded, output: Output) -> None:
    """Take one record in."""
    if isinstance(output, Decided):
        _decided(folded, output)
    else:
        _outcome(folded, output)


def _decided(folded: Folded, decided: Decided) -> None:
    key = (decided.app_id, decided.event_id)
    known = folded.claims.get(key)
    if known is not None and known.redrive >= decided.redrive:
        return
    folded.claims[key] = _claim(decided)
    _letter(folded, decided)
    _card(folded, decided)
    for planned in decided.effects:
        folded.effects[(*key, planned.index)] = _effect(decided, planned)
        if decided.request_id is None and (kind := needed(planned)) is not None:
            folded.tokens.setdefault(RightKey(decided.app_id, decided.event_id, kind), _UNTOLD)


def _claim(decided: Decided) -> FoldedClaim:
    return FoldedClaim(
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
        decided_at=decided.decided_at,
    )


def _letter(folded: Folded, decided: Decided) -> None:
    key = (decided.app_id, decided.event_id)
    if decided.result != "failed":
        folded.letters.pop(key, None)
        return
    # One that fails again keeps its time, and its place among those of its card.
    before = folded.letters.get(key)
    folded.letters[key] = FoldedLetter(
        handler=decided.handler,
        reason=decided.reason,
        message_id=decided.message_id,
        parks=decided.parks,
        is_request=decided.request_id is not None,
        offset=decided.offset if before is None else before.offset,
        died_at=decided.decided_at if before is None else before.died_at,
    )


def _card(folded: Folded, decided: Decided) -> None:
    if decided.message_id is None or decided.version == 0:
        return
    key = (decided.app_id, decided.message_id)
    known = folded.cards.get(key)
    if known is not None and known.version >= decided.version:
        return
    folded.cards[key] = FoldedCard(
        version=decided.version,
        state=decided.state,
        content=decided.intended,
        newest_at=decided.newest_at,
        rules=_rules(known, decided),
    )


def _rules(known: FoldedCard | None, decided: Decided) -> JsonText | None:
    """Return how the races on a card stand: each decision tells who joined, and its card's version when."""
    before = None if known is None else known.rules
    if not decided.winners and not decided.voters:
        return before
    return standings_text(decided.races(read_standings(before)))


def _effect(decided: Decided, planned: PlannedEffect) -> FoldedEffect:
    return FoldedEffect(
        tenant_key=decided.tenant_key,
        message_id=decided.message_id,
        target=planned.target,
        audience=planned.audience,
        coalesce=planned.coalesce,
        eligibility=planned.eligibility,
        order=planned.order,
        occurred_at=decided.counts_from(planned),
        decided_at=decided.decided_at,
        effect=planned.effect,
        due=planned.due,
        redriven_at=decided.decided_at if decided.redrive else None,
    )


def _outcome(folded: Folded, outcome: EffectOutcome) -> None:
    key = (outcome.app_id, outcome.event_id, outcome.index)
    known = folded.effects.get(key)
    if known is None or outcome.k <= known.k:
        return  # Retention has deleted its decision, or it was told twice.
    is_redriven = outcome.reason == REDRIVEN
    folded.effects[key] = replace(
        known,
        target=outcome.target,
        status=outcome.status if outcome.final else "pending",
        k=outcome.k,
        attempts=outcome.attempts,
        due=outcome.retry_at,
        begun_at=known.begun_at if is_redriven else outcome.begun_at,
        marked_at=known.marked_at if outcome.marked_at is None else outcome.marked_at,
        redriven_at=outcome.finished_at if is_redriven else known.redriven_at,
        outcome=outcome,
    )
    _faces(folded, known, outcome)
    _token(folded, outcome)


def _token(folded: Folded, outcome: EffectOutcome) -> None:
    """Note the uses of a right: a use that was none was given back before anything was told, so the least is true."""
    if outcome.uses_left is not None:
        kind: Right = "preview" if outcome.kind == "RefreshPreview" else "card"
        key = RightKey(outcome.app_id, origin_of(outcome.event_id), kind)
        before = folded.tokens.get(key, _UNTOLD).uses_left
        folded.tokens[key] = FoldedToken(
            uses_left=outcome.uses_left if before is None else min(before, outcome.uses_left)
        )


def _faces(folded: Folded, known: FoldedEffect, outcome: EffectOutcome) -> None:
    """Note what an outcome tells about cards on the platform: sent, updated, or found in a chat."""
    effect = known.effect
    if outcome.sent_message_id and isinstance(effect, SendCard | Reply) and effect.card is not None:
        sent = FoldedFace(
            chat_id=outcome.chat_id, sent_at=outcome.sent_at, sent=effect.card, card_format=card_format(effect.card)
        )
        _merge(folded, (outcome.app_id, outcome.sent_message_id), sent)
        if outcome.message_id and sends_a_successor(outcome.event_id):
            _merge(folded, (outcome.app_id, outcome.message_id), FoldedFace(successor=outcome.sent_message_id))
    asked = card_of_unknown_chat(known.target)
    if asked is not None and (chat_id := chat_in(outcome.target)) is not None:
        _merge(folded, (outcome.app_id, asked), FoldedFace(chat_id=chat_id))
    if outcome.message_id is None:
        return
    card = (outcome.app_id, outcome.message_id)
    if outcome.code in TOO_OLD and isinstance(effect, OnCard | AnsweredCard):
        _merge(folded, card, FoldedFace(expired=True))
    if outcome.card_id:
        _merge(folded, card, FoldedFace(card_id=outcome.card_id, sequence=outcome.sequence))
    if outcome.shown:
        _merge(
            folded,
            card,
            FoldedFace(shown=outcome.shown, shown_order=outcome.shown_order, card_format=outcome.card_format),
        )


def _merge(folded: Folded, key: CardKey, new: FoldedFace) -> None:
    # What is shown is told in the order in which it was painted, so the last one told is shown. Its order says the
    # same, but where a log was moved: there the old offsets cannot be compared with the new.
    old = folded.faces.get(key, _UNKNOWN)
    shows = new.shown is not None
    folded.faces[key] = FoldedFace(
        chat_id=old.chat_id or new.chat_id,
        sent_at=old.sent_at or new.sent_at,
        sent=old.sent or new.sent,
        card_format=(new.card_format if shows else old.card_format) or new.card_format,
        shown=new.shown if shows else old.shown,
        shown_order=new.shown_order if shows else old.shown_order,
        card_id=old.card_id or new.card_id,
        expired=old.expired or new.expired,
        successor=old.successor or new.successor,
        sequence=max((each for each in (old.sequence, new.sequence) if each is not None), default=None),
    )
