"""A recorded log: inputs, and what the real decider decided about them, as gateway and worker leave them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from shared.app.app import App
from shared.core.codec import encode
from shared.core.events import Decided, EffectOutcome, Event, InteractionAnswered, Output
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.eventlog.partition import partition_of
from shared.eventlog.port import PARTITIONS, EventLog, NewRecord, Record, Topics
from worker.deciding.batch import Batch, Taken
from worker.deciding.decide import decide
from worker.ledger.decided import CardKey, Known
from worker.ledger.leased import FaceRow
from worker.traveling.card import UNTOUCHED, CardThen, after, row_of

APPEND: Final = 2_000

_T = TypeVar("_T")


class _Call:
    """Calls handlers at once."""

    spent = False

    def __call__(self, step: Callable[[], _T], /) -> _T:
        return step()


@dataclass(kw_only=True)
class Recorder:
    """
    Decides inputs in their order with the worker's decider, and keeps what comes of them.

    Attributes:
        apps: The handlers at the time.
        faces: What the platform had told of cards.
        lag_ms: How long after an input it is decided.
        performed: Told each decision, returns what becomes of effects by then; nothing, unless told otherwise.
    """

    apps: dict[AppId, App]
    topics: Topics = field(default_factory=Topics)
    faces: dict[CardKey, FaceRow] = field(default_factory=dict)
    lag_ms: EpochMs = 100
    performed: Callable[[Decided], Iterable[EffectOutcome]] = lambda _: ()
    _cards: dict[CardKey, CardThen] = field(default_factory=dict)
    _ends: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def record(self, events: Iterable[Event]) -> tuple[list[NewRecord], list[NewRecord]]:
        """Return the records of inputs, and those of the decisions about them and of what became of these."""
        asked: list[NewRecord] = []
        told: list[NewRecord] = []
        for event in events:
            new = NewRecord.of(self.topics.interactions, encode(event))
            asked.append(new)
            place = partition_of(new.key, PARTITIONS)
            record = Record(
                topic=new.topic, partition=place, offset=self._ends[place], key=new.key, value=new.value,
                headers=new.headers, timestamp=new.timestamp,
            )  # fmt: skip
            self._ends[place] += 1
            if not isinstance(event, InteractionAnswered):
                decided = self._decided(event, record)
                outputs: list[Output] = [] if decided is None else [decided, *self.performed(decided)]
                told += [NewRecord.of(self.topics.outcomes, encode(output)) for output in outputs]
        return asked, told

    def _decided(self, event: Event, record: Record) -> Decided | None:
        assert not isinstance(event, Decided)
        key = CardKey(event.app_id, event.message_id) if event.message_id else None
        card = self._cards.get(key, UNTOUCHED) if key else UNTOUCHED
        row = row_of(card, key) if key else None
        at = event.occurred_at if hasattr(event, "occurred_at") else record.timestamp
        known = Known(
            now=at + self.lag_ms,
            cards={key: row} if key and row else {},
            faces={key: self.faces[key]} if key and key in self.faces else {},
            standing={key: card.parked} if key and card.parked else {},
        )
        draft = decide(Batch(taken=[Taken(record=record, fact=event)]), known, self.apps, _Call())  # type: ignore[arg-type]
        decided = next((one for _, one in draft.decisions), None)
        if decided is not None and key is not None:
            self._cards[key] = after(card, decided)
        return decided


async def append(log: EventLog, records: Sequence[NewRecord]) -> None:
    """Append records, some at a time."""
    for start in range(0, len(records), APPEND):
        await log.append(records[start : start + APPEND])
