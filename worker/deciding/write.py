"""What one transaction stores of a decided batch (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.core.codec import Encoded, encode
from shared.core.eligibility import marked_ms, wait_ms
from shared.core.events import Asked, Decided, InteractionAnswered, InteractionReceived, PlannedEffect, RequestReceived
from shared.core.folded import REQUEST, ROUTING
from shared.core.ids import AppId, MessageId
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.port import NewRecord, Topics
from worker.deciding.batch import Taken, parked
from worker.deciding.rights import rights
from worker.deciding.verdict import Verdict
from worker.ledger.decided import (
    AppTicket,
    CardKey,
    CardRow,
    ClaimKey,
    ClaimRow,
    DeadLetter,
    HandlerKey,
    Mark,
    Move,
    NewEffect,
    Suspension,
    Write,
)

NEW_STYLE_MS: Final = 60_000
"""How often an app's newest new-style callback is written down at most."""

_JSON: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """
    An input with everything that was decided about it, and the record that tells it.

    Attributes:
        kept: The input as it is kept if it failed: its record's value, and its ``ce_type``.
    """

    taken: Taken
    kept: tuple[bytes, str]
    asked: Asked
    verdict: Verdict
    decided: Decided
    told: Encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    What a draft holds when its batch is decided.

    Attributes:
        now: The ledger's time when the batch was read (ms).
        passed: The last decided record of each partition.
        marked: The first mark of each event.
        parked: Records that are put aside, and why.
        new_style_at: Each app's newest new-style callback, as the ledger knew it (ms).
    """

    now: EpochMs
    passed: Mapping[int, Taken]
    claims: Mapping[ClaimKey, Claimed]
    cards: Mapping[CardKey, CardRow]
    marked: Mapping[ClaimKey, InteractionAnswered]
    suspensions: Mapping[HandlerKey, Suspension]
    parked: Sequence[tuple[Taken, str]]
    new_style_at: Mapping[AppId, EpochMs]


def as_write(held: Held, positions: Mapping[int, int], topics: Topics, *, settle_ms: int) -> Write:
    """Return a decided batch as one transaction, given the positions that it was read from."""
    return Write(
        moves=[
            Move(partition=p, expected=positions[p], next=last.record.offset + 1, last_id=last.id)
            for p, last in sorted(held.passed.items())
        ],
        claims=[_claim_row(claimed.decided, answered=key in held.marked) for key, claimed in held.claims.items()],
        cards=list(held.cards.values()),
        effects=[
            _effect_row(claimed, effect, held.marked.get(key), settle_ms, held.now)
            for key, claimed in held.claims.items()
            for effect in claimed.verdict.effects
        ],
        tokens=[token for claimed in held.claims.values() for token in rights(claimed.asked, claimed.verdict.effects)],
        marks=[
            _mark(mark, mark.message_id, settle_ms)
            for key, mark in held.marked.items()
            if key not in held.claims and mark.message_id
        ],
        dead_letters=[_dead_letter(claimed) for claimed in held.claims.values() if claimed.verdict.result == "failed"],
        revived=[
            key
            for key, claimed in held.claims.items()
            if claimed.decided.redrive and claimed.verdict.result != "failed"
        ],
        suspensions=list(held.suspensions.values()),
        new_style_at=_new_style_at(held),
        tickets=_tickets(held),
        outbox=[
            # What a decision hands over is told before it: whoever has read the decision finds that, too.
            *(
                NewRecord.of(topics.interactions, encode(request, traceparent=claimed.taken.traceparent))
                for claimed in held.claims.values()
                for request in claimed.verdict.requests
            ),
            *(NewRecord.of(topics.outcomes, claimed.told) for claimed in held.claims.values()),
            *(parked(taken.record, reason, topics.dead) for taken, reason in held.parked),
        ],
    )


def _new_style_at(held: Held) -> dict[AppId, EpochMs]:
    newest: dict[AppId, EpochMs] = {}
    for asked in (claimed.asked for claimed in held.claims.values()):
        if isinstance(asked, InteractionReceived) and asked.kind == "card_action":
            newest[asked.app_id] = max(newest.get(asked.app_id, 0), asked.received_at)
    before = held.new_style_at
    return {app: at for app, at in newest.items() if at >= before.get(app, 0) + NEW_STYLE_MS}


def _tickets(held: Held) -> dict[AppId, AppTicket]:
    """Return the newest ticket of each store app, whatever else was decided about the events that brought them."""
    newest: dict[AppId, AppTicket] = {}
    for event in (claimed.asked for claimed in held.claims.values()):
        if isinstance(event, InteractionReceived) and event.app_ticket is not None:
            ticket = AppTicket(ticket=Secret(event.app_ticket), at=event.received_at)
            newest[event.app_id] = max(newest.get(event.app_id, ticket), ticket, key=lambda one: one.at)
    return newest


def _claim_row(decided: Decided, *, answered: bool) -> ClaimRow:
    return ClaimRow(
        app_id=decided.app_id,
        event_id=decided.event_id,
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
        answered=answered,
    )


def _mark(mark: InteractionAnswered, message_id: MessageId, settle_ms: int) -> Mark:
    def wait(*, is_answered_card: bool) -> int:
        return marked_ms(is_answered_card=is_answered_card, delivered=mark.delivered, settle_ms=settle_ms)

    return Mark(
        app_id=mark.app_id,
        event_id=mark.event_id,
        message_id=message_id,
        delivered=mark.delivered,
        due_in_ms=wait(is_answered_card=False),
        card_due_in_ms=wait(is_answered_card=True),
    )


def _effect_row(
    claimed: Claimed, planned: PlannedEffect, mark: InteractionAnswered | None, settle_ms: int, now: EpochMs
) -> NewEffect:
    """Return an effect's row; ``mark`` is its click's, if it was in the same batch."""
    asked, delivered = claimed.asked, None if mark is None else mark.delivered
    return NewEffect(
        app_id=asked.app_id,
        event_id=asked.event_id,
        index=planned.index,
        tenant_key=asked.tenant_key,
        message_id=asked.message_id,
        kind=type(planned.effect).__name__,
        target=planned.target,
        audience=planned.audience,
        coalesce=planned.coalesce,
        eligibility=planned.eligibility,
        order=planned.order,
        due_in_ms=wait_ms(planned, since=now, delivered=delivered, settle_ms=settle_ms),
        marked=mark is not None,
        delivered=delivered,
        occurred_at=claimed.decided.counts_from(planned),
        received_at=asked.received_at,
        payload=_JSON.encode(planned.effect),
        traceparent=claimed.taken.traceparent,
        redriven=claimed.decided.redrive > 0,
    )


def _dead_letter(claimed: Claimed) -> DeadLetter:
    handler, verdict, asked = claimed.verdict.handler, claimed.verdict, claimed.asked
    interaction, kind = claimed.kept
    return DeadLetter(
        app_id=asked.app_id,
        event_id=asked.event_id,
        handler=handler.name if handler else REQUEST if isinstance(asked, RequestReceived) else ROUTING,
        reason=verdict.reason or "failed",
        interaction=interaction,
        kind=kind,
        message_id=asked.message_id,
        offset=claimed.taken.record.offset,
        parks=verdict.parks,
    )
