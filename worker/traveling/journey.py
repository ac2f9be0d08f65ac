"""
The journey through one partition: each input decided again on the card as it would have been, and compared.

Two worlds go side by side. The recorded one evolves by the decisions in the log, the travelled one by those that are
made now; before the period both are the recorded one. A decision that differs on the same card is a *cause*; from then
on the card may be another one, and what differs later *follows* from it, until both worlds have the same card again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never

import msgspec

from shared.core.codec import readable
from shared.core.events import (
    OURSELVES,
    Asked,
    CallReturned,
    Decided,
    EffectOutcome,
    InteractionAnswered,
    InteractionReceived,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.folded import REQUEST
from shared.core.json_text import EpochMs
from shared.eventlog.port import Record
from worker.ledger.decided import CardKey, ClaimKey
from worker.traveling.again import Again, Ours, is_of_the_world, kept_of
from worker.traveling.card import CardThen, after, is_same
from worker.traveling.cards import NEW, Cards, Kept
from worker.traveling.compare import Change, came_in, compare
from worker.traveling.findings import Difference, Findings, HandlerFindings, Why, add, difference, note
from worker.traveling.pairs import Pair, app_of
from worker.traveling.requests import Asking, Requests
from worker.traveling.words import Told, Words

CHECKS: Final = 1_000
"""How many differences of one handler are decided twice more, to see whether it agrees with itself."""

NOBODY: Final = "(no handler)"
"""Stands for the handler's name where none matched, then and now."""

NO_HANDLERS: Final = "app without handlers here"
"""Why inputs stay as recorded whose app is not among those of the settings."""

Tell = Callable[[Difference], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The inputs that are compared: those that occurred from `begin` on (ms), and before `end`."""

    begin: EpochMs | None = None
    end: EpochMs | None = None

    def is_after_begin(self, at: EpochMs) -> bool:
        """Say whether something did not happen before the period."""
        return self.begin is None or at >= self.begin

    def is_before_end(self, at: EpochMs) -> bool:
        """Say whether something did not happen behind the period."""
        return self.end is None or at < self.end


ALWAYS: Final = Period()
"""All that the log holds."""


@dataclass(slots=True, kw_only=True)
class Journey:
    """
    Takes pairs in, one after the other.

    Attributes:
        tell: Told each difference.
        examples: How many differences of each handler are kept in the findings.
        findings: What was found so far.
    """

    again: Again
    cards: Cards
    told: Told
    requests: Requests
    period: Period
    tell: Tell
    examples: int = 3
    with_values: bool = False
    findings: Findings = field(default_factory=Findings)
    _checks: dict[str, int] = field(default_factory=dict)

    def take(self, pair: Pair) -> None:
        """
        Take in an input, the decision about it, or both.

        Raises:
            NewerThanUs: The input is of a newer program.
        """
        match pair:
            case Pair(record=Record() as record, decided=Decided() as decided):
                self._both(record, decided)
            case Pair(record=Record() as record):
                self._undecided(record)
            case Pair(decided=Decided() as decided):
                self._inputless(decided)
            case _:
                return

    def _undecided(self, record: Record) -> None:
        fact = self._fact(record)
        if fact is None:
            return
        stray = self.told.stray(app_of(record), _id_of(fact)) if fact.message_id is None else None
        if stray is None:
            self.findings.undecided += 1
        else:
            self._decide(record, fact, stray, None, NEW)

    def _inputless(self, decided: Decided) -> None:
        if decided.message_id is None:
            return  # It decides what lies in another partition, and is found from there.
        key = CardKey(decided.app_id, decided.message_id)
        kept = self._card(key)
        self.findings.inputless += 1
        self._take_over(key, kept, decided, is_partial=kept.is_partial)

    def _both(self, record: Record, recorded: Decided) -> None:
        fact = self._fact(record)
        if fact is None:
            return
        key = None if fact.message_id is None else CardKey(fact.app_id, fact.message_id)
        kept = NEW if key is None else self._card(key)
        if isinstance(fact, RequestReceived) and fact.caller == OURSELVES:
            self.requests.theirs((fact.app_id, fact.event_id), fact)
        if not self.period.is_after_begin(recorded.occurred_at):
            self.findings.before += 1
            self._remember(record, fact, recorded, recorded)
            self._take_over(key, kept, recorded, is_partial=kept.is_partial)
        elif _begins_later(recorded, kept):
            self.findings.begun_later += 1
            self._remember(record, fact, recorded, recorded)
            self._take_over(key, kept, recorded, is_partial=True)
        elif is_of_the_world(recorded) or self.again.app_of(fact.app_id) is None:
            note(self.findings.as_recorded, _cause(recorded) if is_of_the_world(recorded) else NO_HANDLERS)
            self._remember(record, fact, recorded, recorded)
            self._follow(key, kept, recorded)
        else:
            self._decide(record, fact, recorded, key, kept)

    def _decide(
        self, record: Record, fact: Asked | RedriveRequested, recorded: Decided, key: CardKey | None, kept: Kept
    ) -> None:
        failed = self.cards.failed(ClaimKey(fact.app_id, fact.event_id)) if isinstance(fact, RedriveRequested) else None
        if isinstance(fact, RedriveRequested) and failed is None:
            self.findings.begun_later += 1
            self._take_over(key, kept, recorded, is_partial=True)
            return
        words = kept.words or Words()
        card = kept.theirs if kept.ours is None else kept.ours

        def decided_again() -> Ours | None:
            if failed is not None and not failed.is_ours:
                return None
            return self.again(record, fact, recorded, card, words=words, failed=failed)

        made = decided_again()
        ours = None if made is None else made.decided
        self._remember(record, fact, recorded, ours)
        changes = self._changes(fact, recorded, ours, kept)
        if self.period.is_before_end(recorded.occurred_at):
            handler = _whose(fact, recorded, ours)
            self.findings.compared += 1
            found = self._found(handler)
            found.inputs += 1
            if changes:
                why = self._why(recorded, ours, kept, handler, decided_again)
                one = difference(fact, recorded, why, handler, changes)
                is_first = why != "follows" and (key is None or handler not in kept.causes)
                add(found, one, is_first_of_card=is_first, examples=self.examples)
                self.tell(one)
                if is_first:
                    kept = msgspec.structs.replace(kept, causes=(*kept.causes, handler))
            elif made is not None and made.requests:
                self._ask(fact, recorded, made, kept, handler)
        else:
            self.findings.before += 1
        if key is not None:
            self._evolve(key, kept, recorded, ours, differs=bool(changes))

    def _changes(
        self, fact: Asked | RedriveRequested, recorded: Decided, ours: Decided | None, kept: Kept
    ) -> tuple[Change, ...]:
        if isinstance(fact, RequestReceived) and kept.is_same:
            return ()  # No handler decided it: on the same card it does the same.
        if kept.is_partial and ours is not None and came_in(ours) != came_in(recorded) and recorded.handler is not None:
            return ()  # Who had won or voted before is not in the log.
        return compare(recorded, ours, with_values=self.with_values)

    def _why(
        self,
        recorded: Decided,
        ours: Decided | None,
        kept: Kept,
        handler: str,
        decided_again: Callable[[], Ours | None],
    ) -> Why:
        if not kept.is_same or ours is None:
            return "follows"
        checks = self._checks.get(handler, 0)
        self._checks[handler] = checks + 1
        if checks < CHECKS and any(_differ(ours, decided_again()) for _ in range(2)):
            return "nondeterministic"
        is_same_code = recorded.digest is not None and recorded.digest == ours.digest
        return "same_code" if is_same_code else "decided_otherwise"

    def _ask(self, fact: Asked | RedriveRequested, recorded: Decided, made: Ours, kept: Kept, handler: str) -> None:
        """Note what is asked of other cards: whether it differs shows where the record has it, in their partitions."""
        is_same_code = recorded.digest == made.decided.digest
        why: Why = "follows" if not kept.is_same else "same_code" if is_same_code else "decided_otherwise"
        by = difference(fact, recorded, why, handler, ())
        for request in made.requests:
            asked = Asking(by=by, request=request, is_counted=handler in kept.causes)
            self.requests.ours((request.app_id, request.event_id), asked)

    # what becomes of the card

    def _card(self, key: CardKey) -> Kept:
        kept = self.cards.get(key)
        if kept.words is None:
            kept = msgspec.structs.replace(kept, words=self.told.words(key))
        return kept

    def _evolve(self, key: CardKey, kept: Kept, recorded: Decided, ours: Decided | None, *, differs: bool) -> None:
        theirs = after(kept.theirs, recorded)
        card = kept.theirs if kept.ours is None else kept.ours
        mine = card if ours is None else after(card, ours)
        same = is_same(theirs, mine) if differs or not kept.is_same else True
        self._keep(key, kept, theirs, None if same else mine)

    def _follow(self, key: CardKey | None, kept: Kept, recorded: Decided) -> None:
        """Let what the world brought about happen in both worlds."""
        if key is not None:
            ours = None if kept.ours is None else after(kept.ours, recorded)
            self._keep(key, kept, after(kept.theirs, recorded), ours)

    def _take_over(self, key: CardKey | None, kept: Kept, recorded: Decided, *, is_partial: bool) -> None:
        """Let the travelled world have the recorded one's card."""
        if key is not None:
            kept = msgspec.structs.replace(kept, is_partial=is_partial)
            self._keep(key, kept, after(kept.theirs, recorded), None)

    def _keep(self, key: CardKey, kept: Kept, theirs: CardThen, ours: CardThen | None) -> None:
        self.cards.put(
            key,
            Kept(theirs=theirs, ours=ours, words=kept.words, is_partial=kept.is_partial, causes=kept.causes),
        )

    def _remember(
        self, record: Record, fact: Asked | RedriveRequested, recorded: Decided, ours: Decided | None
    ) -> None:
        """Keep an input that failed in the record: it may be redriven."""
        key = ClaimKey(fact.app_id, fact.event_id)
        is_ours = ours is not None and ours.result == "failed"
        if isinstance(fact, RedriveRequested):
            failed = self.cards.failed(key)
            if failed is not None and failed.is_ours and ours is not None:
                self.cards.fail(key, msgspec.structs.replace(failed, is_ours=is_ours))
        elif recorded.result == "failed":
            self.cards.fail(key, kept_of(record, fact, is_ours=is_ours))

    def _found(self, handler: str) -> HandlerFindings:
        found = self.findings.by_handler.get(handler)
        if found is None:
            found = self.findings.by_handler[handler] = HandlerFindings()
        return found

    def _fact(self, record: Record) -> Asked | RedriveRequested | None:
        event = readable(record.headers, record.value)
        match event:
            case InteractionReceived() | RequestReceived() | CallReturned() | TimerFired() | RedriveRequested():
                return event
            case InteractionAnswered() | Decided() | EffectOutcome() | None:
                self.findings.unread += 1
                return None
            case _ as unreachable:
                assert_never(unreachable)


def _begins_later(recorded: Decided, kept: Kept) -> bool:
    """Say whether the record lacks a decision about the card before this one."""
    if recorded.seen is not None:
        return recorded.seen.version != kept.theirs.version
    return recorded.version > 0 and recorded.version - 1 != kept.theirs.version


def _cause(recorded: Decided) -> str:
    return recorded.result if recorded.reason is None else f"{recorded.result}: {recorded.reason.partition(':')[0]}"


def _differ(one: Decided, other: Ours | None) -> bool:
    return bool(compare(one, None if other is None else other.decided))


def _id_of(fact: Asked | RedriveRequested) -> str:
    return f"{fact.event_id}/redrive/{fact.n}" if isinstance(fact, RedriveRequested) else fact.event_id


def _whose(fact: Asked | RedriveRequested, recorded: Decided, ours: Decided | None) -> str:
    if isinstance(fact, RequestReceived) or recorded.request_id is not None:
        return REQUEST
    return recorded.handler or (ours.handler if ours is not None else None) or NOBODY
