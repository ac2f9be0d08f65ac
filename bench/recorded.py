"""
A log as a worker leaves it: clicks and marks, what was decided about them, and what became of it.

Four records for each click, of the sizes that `bench.work` has: one card update with new state, of which every fifth
is performed and the others are superseded by it.
"""

from collections import defaultdict
from collections.abc import Iterator

from bench.work import APP_ID, TENANT, card_showing, click, mark
from shared.core.codec import encode
from shared.core.effects import UpdateCard
from shared.core.events import (
    CARD,
    EFFECTS_PER_DECISION,
    Decided,
    EffectOutcome,
    InteractionReceived,
    PlannedEffect,
)
from shared.core.json_text import json_text
from shared.core.targets import message_target
from shared.eventlog.partition import partition_of
from shared.eventlog.port import PARTITIONS, NewRecord, Topics

SHOWN_EVERY = 5


def recorded(clicks: int, *, cards: int, topics: Topics, partitions: int = PARTITIONS) -> Iterator[NewRecord]:
    """
    Yield the records of both topics for a log that is empty yet, oldest first.

    Args:
        cards: How many cards are clicked, in turns.
    """
    ends: dict[int, int] = defaultdict(int)
    for number in range(clicks):
        made = click(number, number % cards)
        received = encode(made)
        partition = partition_of(received.key, partitions)
        decided = _decided(made, partition, ends[partition], number // cards + 1)
        ends[partition] += 2
        yield NewRecord.of(topics.interactions, received)
        yield NewRecord.of(topics.interactions, encode(mark(made)))
        yield NewRecord.of(topics.outcomes, encode(decided))
        yield NewRecord.of(topics.outcomes, encode(_outcome(decided)))


def _decided(made: InteractionReceived, partition: int, offset: int, version: int) -> Decided:
    assert made.message_id is not None
    update = PlannedEffect(
        index=1,
        target=message_target(made.message_id),
        coalesce=CARD,
        eligibility="after_answer",
        order=offset * EFFECTS_PER_DECISION + 1,
        effect=UpdateCard(card_showing(version, made.event_id)),
    )
    return Decided(
        event_id=made.event_id,
        app_id=APP_ID,
        tenant_key=TENANT,
        message_id=made.message_id,
        partition=partition,
        offset=offset,
        delivery_key=made.delivery_key,
        result="decided",
        handler="count",
        digest="7f83b1657ff1",
        version=version,
        state=json_text({"clicks": version}),
        newest_at=made.occurred_at,
        open_id=made.operator.open_id,
        occurred_at=made.occurred_at,
        decided_at=made.received_at + 10,
        effects=(update,),
    )


def _outcome(decided: Decided) -> EffectOutcome:
    (update,) = decided.effects
    shows = decided.version % SHOWN_EVERY == 0
    return EffectOutcome(
        event_id=decided.event_id,
        app_id=APP_ID,
        tenant_key=TENANT,
        message_id=decided.message_id,
        index=1,
        k=1,
        kind="UpdateCard",
        target=update.target,
        status="succeeded" if shows else "superseded",
        attempts=int(shows),
        code=0 if shows else None,
        http_status=200 if shows else None,
        log_id="20261122014814000000000000000006" if shows else None,
        reason=None if shows else f"by {decided.event_id}/1",
        shown=f"{decided.version:064x}" if shows else None,
        shown_order=update.order if shows else None,
        card_format="1.0" if shows else None,
        way="message" if shows else None,
        because="shared" if shows else None,
        started_at=decided.decided_at + 310 if shows else None,
        finished_at=decided.decided_at + 340,
        marked_at=decided.decided_at + 5,
    )
