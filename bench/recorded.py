"""
A log as a worker leaves it: clicks and marks, what was decided about them, and what became of it.

Four records for each click: the worker's own decider decides about it, one card update with new state, of which every
fifth of a card, and its last one, is performed, and takes the place of those before it. So every promise is kept in it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from bench.work import APP_ID, APPEND, PATIENCE_S, app, append, events_of, make
from shared.core.events import Decided, EffectOutcome
from shared.core.ids import MessageId
from shared.eventlog.open import open_log
from shared.eventlog.port import NewRecord, Topics
from tests.support.past import Recorder

RECORDS_PER_CLICK: Final = 4
SHOWN_EVERY: Final = 5
AT_ONCE: Final = 1_000
"""Clicks that are received before anything is decided."""

SEEN_MS: Final = 5
"""From a decision until its mark is seen, 300 ms before it is performed; `DONE_MS`: until the call is over."""

BEGUN_MS: Final = 310
DONE_MS: Final = 340


def recorded(clicks: int, *, cards: int, topics: Topics) -> Iterator[NewRecord]:
    """
    Yield the records of both topics for a log that is empty yet, oldest first.

    Args:
        cards: How many cards are clicked, in turns.
    """
    recorder = Recorder(apps={APP_ID: app}, topics=topics, performed=_Performed(clicks - cards))
    for first in range(0, clicks, AT_ONCE):
        asked, told = recorder.record(events_of(min(AT_ONCE, clicks - first), cards, first))
        yield from asked
        yield from told


async def record(url: str, topics: Topics, clicks: int, *, cards: int) -> None:
    """Make a log of so many clicks."""
    log = open_log(url, topics=topics, append_timeout_s=PATIENCE_S)
    records = recorded(clicks, cards=cards, topics=topics)
    try:
        await make(log, topics)
        for piece in iter(lambda: list(islice(records, APPEND)), []):
            await append(log, piece)
    finally:
        await log.close()


class _Performed:
    """
    What becomes of decisions.

    Args:
        last: From this click on each is the last one of its card.
    """

    def __init__(self, last: int) -> None:
        self._last = last
        self._waiting: dict[MessageId | None, list[Decided]] = defaultdict(list)

    def __call__(self, decided: Decided) -> Iterable[EffectOutcome]:
        """Return the outcomes that are told after a decision."""
        if decided.version % SHOWN_EVERY and int(decided.event_id, 16) < self._last:
            self._waiting[decided.message_id].append(decided)
            return ()
        superseded = [_superseded(one, decided) for one in self._waiting.pop(decided.message_id, ())]
        return (*superseded, _shown(decided))


def _shown(decided: Decided) -> EffectOutcome:
    (update,) = decided.effects
    return EffectOutcome(
        event_id=decided.event_id,
        app_id=decided.app_id,
        tenant_key=decided.tenant_key,
        message_id=decided.message_id,
        index=update.index,
        k=1,
        kind="UpdateCard",
        target=update.target,
        status="succeeded",
        attempts=1,
        code=0,
        http_status=200,
        log_id="20261122014814000000000000000006",
        shown=f"{decided.version:064x}",
        shown_order=update.order,
        card_format="1.0",
        way="message",
        because="shared",
        started_at=decided.decided_at + BEGUN_MS,
        finished_at=decided.decided_at + DONE_MS,
        marked_at=decided.decided_at + SEEN_MS,
    )


def _superseded(decided: Decided, by: Decided) -> EffectOutcome:
    (update,), (newer,) = decided.effects, by.effects
    return EffectOutcome(
        event_id=decided.event_id,
        app_id=decided.app_id,
        tenant_key=decided.tenant_key,
        message_id=decided.message_id,
        index=update.index,
        k=1,
        kind="UpdateCard",
        target=update.target,
        status="superseded",
        reason=f"by {by.event_id}/{newer.index}",
        finished_at=by.decided_at + DONE_MS,
        marked_at=decided.decided_at + SEEN_MS,
    )
