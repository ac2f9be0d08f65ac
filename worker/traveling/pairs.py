"""
Inputs and the decisions about them, side by side.

Both topics are partitioned by the same key, so the decisions about a partition's inputs lie in the partition of the
same number, in the order of the inputs as a rule. So both are walked at once, decisions in front: each is looked up
among the inputs that were read last, and where it is not there, some more are read. Ids tell which belong together: a
log that was moved has other offsets, in the same order.

Memory holds a bounded number of inputs. An input that was passed by has no decision here: it was a duplicate, is not
decided yet, or its decision is lost. A decision without its input is one whose input retention has deleted.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.core.codec import header, readable
from shared.core.events import Decided
from shared.core.ids import AppId
from shared.eventlog.port import Record
from worker.traveling.words import DECIDED, ce_type, stray_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    How much is held while two topics are walked.

    Attributes:
        ahead: How many inputs wait for their decisions at most, but for a piece.
        beyond: How many offsets beyond its place an input is looked for.
        behind: How many offsets an input waits for its decision after decisions about later ones.
        twice: How many decisions are remembered, since outcomes may be told twice.
    """

    ahead: int = 10_000
    beyond: int = 5_000
    behind: int = 2_000
    twice: int = 20_000


BOUNDS: Final = Bounds()

_ANSWERED: Final = b"lark.card.interaction.answered."

InputKey = tuple[AppId, str]
"""An app, and the ``ce_id`` of an input's record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An input and the decision about it; at most one of them is missing."""

    record: Record | None
    decided: Decided | None


Pieces = AsyncIterator[Sequence[Record]]


class Pairs:
    """
    The pairs of a partition.

    Attributes:
        duplicates: How many inputs were passed by that had been decided shortly before.

    Args:
        inputs: The pieces of its interactions, and `outcomes` those of its outcomes.
        walked: Told how many records were read.
    """

    def __init__(
        self, inputs: Pieces, outcomes: Pieces, walked: Callable[[int], None], *, bounds: Bounds = BOUNDS
    ) -> None:
        self.duplicates = 0
        self._bounds = bounds
        self._inputs, self._outcomes, self._walked = inputs, outcomes, walked
        self._waiting: OrderedDict[InputKey, Record] = OrderedDict()
        self._paired: OrderedDict[InputKey, None] = OrderedDict()
        self._passed: list[Pair] = []
        self._reached = -1
        self._shift: int | None = None
        self._is_over = False

    @property
    def waiting(self) -> int:
        """How many inputs wait for their decisions."""
        return len(self._waiting)

    async def pieces(self) -> AsyncIterator[Sequence[Pair]]:
        """
        Yield pairs in the order of the decisions; an input without one, behind those after it.

        Raises:
            NewerThanUs: A decision is of a newer program.
            LogUnavailable: The log cannot be read.
        """
        async for piece in self._outcomes:
            self._walked(len(piece))
            pairs = [pair for record in piece if (pair := await self._paired_with(record)) is not None]
            yield [*self._passed, *pairs]
            self._passed = []
        while not self._is_over:
            await self._read_on()
            yield self._passed
            self._passed = []
        while self._waiting:
            self._pass_first()
        yield self._passed

    async def _paired_with(self, record: Record) -> Pair | None:
        decided = _decided(record)
        if decided is None:
            return None
        key = (decided.app_id, stray_id(decided.event_id, decided.redrive))
        if key in self._paired:
            return None
        while key not in self._waiting and self._may_lie_ahead(decided):
            await self._read_on()
        found = self._waiting.pop(key, None)
        self._paired[key] = None
        if len(self._paired) > self._bounds.twice:
            self._paired.popitem(last=False)
        if found is not None:
            self._shift = found.offset - decided.offset
            self._pass_by(found.offset - self._bounds.behind)
        return Pair(record=found, decided=decided)

    def _may_lie_ahead(self, decided: Decided) -> bool:
        if self._is_over:
            return False
        if self._shift is None:
            return len(self._waiting) < self._bounds.ahead
        return self._reached < decided.offset + self._shift + self._bounds.beyond

    async def _read_on(self) -> None:
        piece = await anext(self._inputs, None)
        if piece is None:
            self._is_over = True
            return
        self._walked(len(piece))
        self._reached = piece[-1].offset
        for record in piece:
            if not ce_type(record.headers).startswith(_ANSWERED):
                key = _input_key(record)
                if key in self._waiting or key in self._paired:
                    self.duplicates += 1  # The first is the one that was decided.
                else:
                    self._waiting[key] = record
        # At the beginning nothing is passed by: the decisions may be far behind, with inputs that are gone.
        while self._shift is not None and len(self._waiting) > self._bounds.ahead:
            self._pass_first()

    def _pass_by(self, before: int) -> None:
        while self._waiting and next(iter(self._waiting.values())).offset < before:
            self._pass_first()

    def _pass_first(self) -> None:
        _, record = self._waiting.popitem(last=False)
        self._passed.append(Pair(record=record, decided=None))


def app_of(record: Record) -> AppId:
    """Return the app of a record, by its key."""
    return AppId(record.key.partition(":")[0])


def _input_key(record: Record) -> InputKey:
    # What has no id is no record of ours, and waits under its place for a decision that does not come.
    return app_of(record), header(record.headers, "ce_id") or f"\0{record.offset}"


def _decided(record: Record) -> Decided | None:
    if not ce_type(record.headers).startswith(DECIDED):
        return None
    event = readable(record.headers, record.value)
    return event if isinstance(event, Decided) else None
