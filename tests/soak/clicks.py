"""The clicks of a soak: on cards drawn by a seed, some of them delivered twice."""

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from bench.work import APPEND, append, click
from shared.core.codec import encode
from shared.core.ids import MessageId
from shared.eventlog.port import EventLog, NewRecord

TWICE_EVERY: Final = 100
"""Every so many clicks one comes again, as a repeated append of the gateway leaves it."""

LATER: Final = 700
"""How many clicks later it does."""


@dataclass(slots=True)
class Clicks:
    """
    Clicks to append, and what they must come to.

    Attributes:
        expected: How often each card was clicked.
    """

    count: int
    cards: int
    seed: int
    expected: Counter[MessageId] = field(default_factory=Counter)

    async def append(self, log: EventLog, topic: str) -> None:
        """Append all of them."""
        records = self._records(topic)
        while some := list(islice(records, APPEND)):
            await append(log, some)

    def _records(self, topic: str) -> Iterator[NewRecord]:
        rng = random.Random(self.seed)
        again: deque[tuple[int, NewRecord]] = deque()
        for number in range(self.count):
            made = click(number, rng.randrange(self.cards))
            assert made.message_id is not None
            self.expected[made.message_id] += 1
            record = NewRecord.of(topic, encode(made))
            yield record
            if number % TWICE_EVERY == 0:
                again.append((number + LATER, record))
            while again and again[0][0] <= number:
                yield again.popleft()[1]
        yield from (record for _, record in again)
