"""From what became of an effect to what is stored and told of it (pure)."""

from dataclasses import dataclass
from typing import Any

import msgspec

from shared.core.codec import encode
from shared.core.events import EffectOutcome, OutcomeStatus
from shared.core.json_text import EpochMs
from shared.core.targets import chat_in
from shared.eventlog.port import NewRecord, Topics
from worker.ledger.leased import EffectChange, Head

_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An outcome, three times: as a fact, as the effect's new standing, and as a record for the log."""

    fact: EffectOutcome
    change: EffectChange
    record: NewRecord


def tell(
    head: Head,
    status: OutcomeStatus,
    *,
    now: EpochMs,
    topics: Topics,
    retry_in_ms: int | None = None,
    attempts: int | None = None,
    begun: bool = False,
    **facts: Any,
) -> Told:
    """
    Return the next outcome of an effect.

    Args:
        now: The ledger's time (ms).
        retry_in_ms: When it is tried again; ``None``: this is final.
        attempts: Calls that counted so far, this one included; ``None``: as before.
        begun: It may have been performed without our knowing.
        facts: Further fields of `EffectOutcome`.
    """
    final = retry_in_ms is None
    facts.setdefault("chat_id", chat_in(head.target))
    started_at = facts.get("started_at", now) if head.begun_at is None else head.begun_at
    fact = EffectOutcome(
        event_id=head.event_id,
        app_id=head.app_id,
        tenant_key=head.tenant_key,
        message_id=head.message_id,
        index=head.index,
        k=head.k + 1,
        kind=head.kind,
        target=head.target,
        status=status,
        final=final,
        retry_at=None if retry_in_ms is None else now + retry_in_ms,
        begun_at=started_at if begun else None,
        attempts=head.attempts if attempts is None else attempts,
        finished_at=now,
        marked_at=head.marked_at,
        **facts,
    )
    change = EffectChange(
        key=head.key,
        status=status if final else "pending",
        k=fact.k,
        attempts=fact.attempts,
        retry_in_ms=retry_in_ms,
        begun=begun,
        outcome=_JSON.encode(fact),
    )
    return Told(
        fact=fact, change=change, record=NewRecord.of(topics.outcomes, encode(fact, traceparent=head.traceparent))
    )
