"""A row's history, decoded and indexed once for all rules."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from shared.core.codec import decode
from shared.core.events import Event, InteractionAnswered, InteractionReceived
from shared.feishu.answer import not_recorded, render
from tests.chaos.facts import Received
from tests.chaos.history import Line
from tests.chaos.matrix.history import Attempt, RowHistory, Sample

OWN_ANSWER: Final = {"toast": {"type": "info", "content": "已计数"}}
"""The answer of the handler in `tests.chaos.handlers`."""

HONEST_ANSWER: Final = msgspec.json.decode(render(not_recorded(), "card_action"))
IN_DOUBT_MS: Final = 2_500
"""So long before the log was seen to be in trouble a record may have been given to it of which nobody heard again."""


class Marked(NamedTuple):
    """An answered mark and where it lies in the log."""

    line: Line
    event: InteractionAnswered


class Span(NamedTuple):
    """A time (ms)."""

    began_at: float
    ended_at: float

    def has(self, at: float) -> bool:
        """Say whether a moment is in it."""
        return self.began_at <= at <= self.ended_at


@dataclass(frozen=True)
class Facts:
    """What the rules ask a row's history."""

    history: RowHistory

    @cached_property
    def clicks(self) -> Mapping[str, Sequence[Attempt]]:
        """The attempts at each click, by event id."""
        found = defaultdict(list)
        for attempt in self.history.attempts:
            found[attempt.sending.event_id].append(attempt)
        return found

    @cached_property
    def received(self) -> Mapping[str, Sequence[Received]]:
        """Every record of each click, by event id, in log order."""
        found = defaultdict(list)
        for line, event in self._events:
            if isinstance(event, InteractionReceived):
                found[str(event.event_id)].append(Received(line, event))
        return found

    @cached_property
    def marks(self) -> Mapping[str, Sequence[Marked]]:
        """Every answered mark, by event id, in log order."""
        found = defaultdict(list)
        for line, event in self._events:
            if isinstance(event, InteractionAnswered):
                found[str(event.event_id)].append(Marked(line, event))
        return found

    @cached_property
    def accepted(self) -> Mapping[str, Attempt]:
        """The first accepted attempt of each click that has one."""
        found: dict[str, Attempt] = {}
        for attempt in self.history.attempts:
            if is_accepted(attempt):
                found.setdefault(attempt.sending.event_id, attempt)
        return found

    @cached_property
    def refused(self) -> Sequence[Attempt]:
        """The attempts that were answered otherwise, in order of sending."""
        return [each for each in self.history.attempts if each.is_answered and not is_accepted(each)]

    @cached_property
    def kills(self) -> Mapping[int, Sequence[Span]]:
        """From when to when each gateway was not there because it was killed, by its number."""
        found: dict[int, list[Span]] = defaultdict(list)
        downs: dict[int, int] = {}
        for fault in sorted(self.history.faults, key=lambda fault: fault.at):
            if fault.role == "gateway":
                number = int(fault.name.rpartition("-")[2]) - 1
                if fault.kind == "kill":
                    downs[number] = fault.at
                elif number in downs:
                    found[number].append(Span(downs.pop(number), fault.at))
        for number, at in downs.items():
            found[number].append(Span(at, float("inf")))
        return found

    def life(self, attempt: Attempt) -> tuple[int, int]:
        """Return which process an attempt went to: the gateway's number, and how often it had been killed."""
        number, at = attempt.sending.gateway, attempt.sending.sent_at
        return number, sum(span.began_at <= at for span in self.kills.get(number, ()))

    def in_doubt(self, at: float) -> bool:
        """Say whether a record that was taken at this time may have been given to the log more than once."""
        return any(span.has(at) for span in self._trouble)

    @cached_property
    def lives(self) -> Mapping[tuple[int, int], Sequence[Sample]]:
        """What each gateway process told of itself, in order."""
        found = defaultdict(list)
        for sample in self.history.samples:
            found[sample.gateway, sample.life].append(sample)
        return found

    @cached_property
    def spilled(self) -> int:
        """How many records went through the spill, as far as gateways could tell."""
        return sum(max(sample.spilled for sample in samples) for samples in self.lives.values())

    @cached_property
    def lines_lost(self) -> int:
        """How many log lines nobody took, as far as gateways could tell."""
        return sum(max(sample.lines_lost for sample in samples) for samples in self.lives.values())

    @cached_property
    def _trouble(self) -> Sequence[Span]:
        spans = [span for samples in self.lives.values() for span in _troubles(samples)]
        # What a killed gateway told last is not all that it did.
        spans += [span for kills in self.kills.values() for span in kills]
        return [Span(span.began_at - IN_DOUBT_MS, span.ended_at) for span in spans]

    @cached_property
    def _events(self) -> Sequence[tuple[Line, Event]]:
        lines = sorted(self.history.interactions, key=lambda line: (line.partition, line.offset))
        return [
            (line, decode([(name, value.encode()) for name, value in line.headers], line.value.encode()))
            for line in lines
        ]


def place(attempt: Attempt) -> str:
    """Return what tells an attempt from all others."""
    sending = attempt.sending
    return f"{sending.event_id} (attempt {sending.nth}, gateway {sending.gateway}, sent at {sending.sent_at:.0f})"


def is_accepted(attempt: Attempt) -> bool:
    """Say whether the person saw the handler's own answer."""
    return attempt.over is not None and attempt.over.status == 200 and _json(attempt) == OWN_ANSWER


def is_honest(attempt: Attempt) -> bool:
    """Say whether the person was told that the click may not have been recorded."""
    return attempt.over is not None and attempt.over.status == 200 and _json(attempt) == HONEST_ANSWER


def _json(attempt: Attempt) -> object:
    body = attempt.over.body if attempt.over is not None else None
    try:
        return msgspec.json.decode(body or "null")
    except msgspec.DecodeError:
        return None


def _troubles(samples: Sequence[Sample]) -> Iterator[Span]:
    """Yield when a process kept records from the log, or sent some again."""
    for before, after in pairwise(samples):
        calm = before.is_quiet and after.is_quiet
        if not (calm and before.failed == after.failed and before.forwarded == after.forwarded):
            yield Span(before.at, after.at)
    if samples and (samples[0].failed or not samples[0].is_quiet):
        yield Span(samples[0].at, samples[0].at)
