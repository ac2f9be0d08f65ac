"""
A card's story as the ledger would tell it, made of what the log holds alone (pure).

What only the ledger knows is left out: leases, paces, suspensions, and the rights of clicks that nothing has used yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cardwire.cli.moments import Moment
from shared.core.events import (
    Asked,
    Decided,
    EffectOutcome,
    InteractionAnswered,
    InteractionReceived,
    PlannedEffect,
    RedriveRequested,
    origin_of,
    sends_a_successor,
)
from shared.core.ids import AppId, ChatId, EventId, MessageId
from shared.core.json_diff import Change, text_diff
from shared.core.json_text import EpochMs, JsonText
from shared.core.races import Standing, Standings, joined
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from worker.history.card import Logged
from worker.ledger.history import Buried, CardEffect, CardHistory, CardInput, UsesLeft

UNANSWERED_MS: Final = 3_000
"""How long an effect waits for a mark that does not come."""

NOBODY: Final = "(nobody)"
"""In the place of a handler's name, where an input failed before one was found."""


@dataclass(slots=True, kw_only=True)
class _Card:
    """What was read of a card, each repetition once."""

    asked: dict[EventId, Logged] = field(default_factory=dict)
    marks: dict[EventId, InteractionAnswered] = field(default_factory=dict)
    decided: dict[tuple[EventId, int], Decided] = field(default_factory=dict)
    outcomes: dict[tuple[EventId, int], dict[int, EffectOutcome]] = field(default_factory=dict)

    @classmethod
    def of(cls, logged: Sequence[Logged]) -> "_Card":
        card = cls()
        for one in logged:
            match one.event:
                case Decided() as decided:
                    card.decided.setdefault((decided.event_id, decided.redrive), decided)
                case EffectOutcome() as outcome:
                    told = card.outcomes.setdefault((outcome.event_id, outcome.index), {})
                    told.setdefault(outcome.k, outcome)
                case InteractionAnswered() as mark:
                    card.marks.setdefault(mark.event_id, mark)
                case RedriveRequested():
                    pass  # what was decided then says so
                case asked:
                    card.asked.setdefault(asked.event_id, one)
        return card

    def newest(self) -> Sequence[Decided]:
        """Return the last decision of each event, in the order in which they were decided."""
        last: dict[EventId, Decided] = {}
        for decided in sorted(self.decided.values(), key=lambda one: (one.offset, one.redrive)):
            last[decided.event_id] = decided
        return sorted(last.values(), key=lambda one: (one.decided_at, one.offset))

    def undecided(self) -> Sequence[Logged]:
        """Return what came in and has no decision."""
        known = {event_id for event_id, _ in self.decided}
        return [one for event_id, one in self.asked.items() if event_id not in known]


def history_of(
    app_id: AppId, message_id: MessageId, logged: Sequence[Logged], *, now: EpochMs, last: int
) -> CardHistory:
    """
    Return a card's story.

    Args:
        now: The time (ms), by which waiting effects and rights are told.
        last: How many of its inputs, newest first.
    """
    card = _Card.of(logged)
    newest = card.newest()
    shown = newest[-last:]
    versions = [decided for decided in newest if decided.version]
    seen = [decided.seen for decided in newest if decided.seen is not None]
    outcomes = [outcome for told in card.outcomes.values() for outcome in told.values()]
    return CardHistory(
        app_id=app_id,
        message_id=message_id,
        now=now,
        version=max((decided.version for decided in versions), default=0),
        newest_at=max((decided.newest_at or 0 for decided in versions), default=None),
        chat_id=_chat(card) or next((one.chat_id for one in seen if one.chat_id is not None), None),
        sent_at=next((one.sent_at for one in seen if one.sent_at is not None), None),
        card_format=next((one.card_format for one in reversed(outcomes) if one.card_format is not None), None),
        successor=next((one.sent_message_id for one in outcomes if sends_a_successor(one.event_id)), None),
        inputs=[_input(decided) for decided in shown],
        older=len(newest) - len(shown),
        effects=[_effect(card, decided, planned) for decided in shown for planned in decided.effects],
        letters=[_buried(decided) for decided in shown if decided.result == "failed"],
        standings={},
        silent_until={},
        tokens=_rights(card, now),
        races=_races(card),
    )


def _races(card: _Card) -> Standings:
    races: Standings = {}
    for decided in sorted(card.decided.values(), key=lambda one: (one.decided_at, one.offset)):
        if decided.handler is not None:
            races = joined(races, decided.handler, Standing(winners=decided.winners, voters=decided.voters))
    return races


def others(logged: Sequence[Logged], *, with_values: bool) -> Sequence[Moment]:
    """Return what the ledger does not tell: each version of the card, what changed in it, and what is not decided."""
    card = _Card.of(logged)
    told = sorted((one for one in card.decided.values() if one.version), key=lambda one: one.version)
    found: list[Moment] = []
    before: JsonText | None = None
    for decided in told:
        found.append(_version(decided, text_diff(before, decided.intended) if with_values else ()))
        before = decided.intended
    return [*found, *map(_undecided, card.undecided())]


def _version(decided: Decided, changes: Sequence[Change]) -> Moment:
    facts: Mapping[str, object] = {"version": decided.version, "handler": decided.handler}
    text = f"version {decided.version}"
    return Moment(
        at=decided.decided_at, what="version", event_id=decided.event_id, text=text, facts=facts, changes=changes
    )


def _undecided(one: Logged) -> Moment:
    received_at = one.event.received_at if isinstance(one.event, Asked) else None
    text = "not decided: not yet, or it repeats another one, or it was put aside"
    facts = {"partition": one.partition, "offset": one.offset}
    return Moment(at=received_at, what="undecided", event_id=one.event.event_id, text=text, facts=facts)


def _chat(card: _Card) -> ChatId | None:
    told = (one.event.chat_id for one in card.asked.values() if isinstance(one.event, InteractionReceived))
    return next((chat_id for chat_id in told if chat_id is not None), None)


def _input(decided: Decided) -> CardInput:
    return CardInput(
        event_id=decided.event_id,
        occurred_at=decided.occurred_at,
        decided_at=decided.decided_at,
        open_id=decided.open_id,
        handler=decided.handler,
        result=decided.result,
        reason=decided.reason,
        late=decided.late,
        redrive=decided.redrive,
        partition=decided.partition,
        offset=decided.offset,
    )


def _effect(card: _Card, decided: Decided, planned: PlannedEffect) -> CardEffect:
    told = card.outcomes.get((decided.event_id, planned.index), {})
    last = told[max(told)] if told else None
    mark = card.marks.get(decided.event_id)
    marked_at = last.marked_at if last is not None else None if mark is None else mark.answered_at
    return CardEffect(
        event_id=decided.event_id,
        index=planned.index,
        kind=type(planned.effect).__name__,
        target=planned.target if last is None else last.target,
        audience=planned.audience,
        eligibility=planned.eligibility,
        status=last.status if last is not None and last.final else "pending",
        k=0 if last is None else last.k,
        attempts=0 if last is None else last.attempts,
        due=_due(decided, planned, last, marked_at),
        decided_at=decided.decided_at,
        marked_at=marked_at,
        outcome=last,
    )


def _due(decided: Decided, planned: PlannedEffect, last: EffectOutcome | None, marked_at: EpochMs | None) -> EpochMs:
    if last is not None and last.retry_at is not None:
        return last.retry_at
    if planned.due is not None:
        return planned.due
    waits = planned.eligibility == "after_answer" and marked_at is None
    return decided.decided_at + (UNANSWERED_MS if waits else 0)


def _buried(decided: Decided) -> Buried:
    return Buried(
        event_id=decided.event_id,
        handler=decided.handler or NOBODY,
        reason=decided.reason or "failed",
        died_at=decided.decided_at,
        parks=decided.parks,
    )


def _rights(card: _Card, now: EpochMs) -> Sequence[UsesLeft]:
    """Return the rights of clicks that were used and have not lapsed."""
    left: dict[EventId, int] = {}
    for (event_id, _), told in card.outcomes.items():
        uses = [one.uses_left for one in told.values() if one.uses_left is not None]
        if uses:
            of = origin_of(event_id)
            left[of] = min(*uses, left.get(of, uses[0]))
    found = []
    for event_id, uses_left in left.items():
        clicked = card.asked[event_id].event if event_id in card.asked else None
        if isinstance(clicked, InteractionReceived) and now < clicked.received_at + CARD_TOKEN_VALID_MS:
            until = clicked.received_at + CARD_TOKEN_VALID_MS
            found.append(UsesLeft(event_id=event_id, kind="card", uses_left=uses_left, until=until))
    return found
