"""A card's story in words (pure): what happened when, and what an effect that is not at its end waits for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, Literal, get_args

from shared.core.cards import CardFormat
from shared.core.events import EffectOutcome
from shared.core.ids import EventId
from shared.core.json_diff import Change
from shared.core.json_text import EpochMs
from shared.core.targets import shown_target
from shared.feishu.codes import meaning
from shared.feishu.validity import interactive_until, updatable_until
from worker.history.card_history import CardEffect, CardHistory, CardInput

What = Literal[
    "sent", "clicked", "requested", "returned", "reminded", "version", "effect", "waiting", "undecided", "dead_letter"
]

WaitsFor = Literal[
    "call_under_way", "earlier_effect", "answered_mark", "settle_gap", "back_off", "its_time", "pace", "worker"
]

IN_WORDS: Final[Mapping[WaitsFor, str]] = {
    "call_under_way": "a call that is under way",
    "earlier_effect": "an earlier effect of its decision",
    "answered_mark": "the answered mark of its click",
    "settle_gap": "the person's client to paint the answer",
    "back_off": "its next attempt",
    "its_time": "its time",
    "pace": "the rate limit, or for the platform to be reached again",
    "worker": "a worker: none runs, or its app's calls are held back",
}
"""What a pending effect waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """
    Something that happened to a card, or is about to.

    Attributes:
        at: When (ms); ``None`` where nobody noted it.
        text: The same for people.
        facts: The same for programs.
        changes: What changed of the card, where it is a version of it, and that was asked for.
    """

    at: EpochMs | None
    what: What
    event_id: EventId | None = None
    text: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    changes: Sequence[Change] = ()


def card_facts(history: CardHistory) -> Mapping[str, object]:
    """
    Return what is known of the card itself: where it is, and how long it may be clicked and updated (ms).

    The ends are ``None`` where nobody knows when it was sent, or how it was written and it matters.
    """
    return {
        "app_id": history.app_id,
        "message_id": history.message_id,
        "chat_id": history.chat_id,
        "version": history.version,
        "successor": history.successor,
        "sent_at": history.sent_at,
        "card_format": history.card_format,
        "clickable_until": _until(interactive_until, history),
        "updatable_until": _until(updatable_until, history),
        "inputs": len(history.inputs) + history.older,
        "older_not_told": history.older,
        "silent_until": dict(history.silent_until),
        "races": {
            handler: {"winners": list(race.winners), "voters": list(race.voters)}
            for handler, race in history.races.items()
        },
        "tokens": [asdict(token) for token in history.tokens],
        "parked_by": [letter.event_id for letter in history.letters if letter.parks],
        "suspended_until": {one.handler: one.until for one in history.suspended},
    }


def _until(rule: Callable[[EpochMs, CardFormat], EpochMs], history: CardHistory) -> EpochMs | None:
    """Return the end of a validity (ms), if it is known, or the same however the card is written."""
    if history.sent_at is None:
        return None
    formats = get_args(CardFormat) if history.card_format is None else (history.card_format,)
    ends = {rule(history.sent_at, written) for written in formats}
    return ends.pop() if len(ends) == 1 else None


def moments(history: CardHistory, others: Sequence[Moment] = ()) -> Sequence[Moment]:
    """Return what happened in order of time, with what else is known of it; what waits comes last."""
    told = [*_sent(history), *map(_decided, history.inputs), *_letters(history), *others]
    told += [_ended(effect) for effect in history.effects if effect.status != "pending"]
    waiting = [_waits(effect, history) for effect in history.effects if effect.status == "pending"]
    return [*sorted(told, key=lambda one: one.at or 0), *waiting]


def waits_for(effect: CardEffect, history: CardHistory) -> WaitsFor:
    """Return what a pending effect waits for, as far as the ledger tells."""
    standing = history.standings.get(effect.target)
    if standing is not None and standing.leased_until > history.now:
        return "call_under_way"
    if effect.due > history.now:
        return _waits_until_due(effect)
    if _is_behind(effect, history.effects):
        return "earlier_effect"
    return "pace" if standing is not None and standing.paced_until > history.now else "worker"


def _waits_until_due(effect: CardEffect) -> WaitsFor:
    if effect.k:
        return "back_off"
    if effect.eligibility == "at_once":
        return "its_time"
    return "answered_mark" if effect.marked_at is None else "settle_gap"


def _is_behind(effect: CardEffect, others: Sequence[CardEffect]) -> bool:
    return any(
        one.status == "pending"
        and (one.event_id, one.target) == (effect.event_id, effect.target)
        and one.index < effect.index
        for one in others
    )


def _sent(history: CardHistory) -> Iterator[Moment]:
    if history.sent_at is not None:
        yield Moment(at=history.sent_at, what="sent", text=f"to {history.chat_id}" if history.chat_id else "")


def _decided(one: CardInput) -> Moment:
    what = _came(one)
    who = one.open_id or (one.event_id.split("/")[1] if what == "requested" else "somebody")
    came_to = f"{one.handler}: {one.result}" if one.handler else one.result
    notes = [one.reason, "late" if one.late else None, f"redrive {one.redrive}" if one.redrive else None]
    return Moment(
        at=one.decided_at if one.occurred_at is None else one.occurred_at,
        what=what,
        event_id=one.event_id,
        text=f"{f'by {who} ' if what in {'clicked', 'requested'} else ''}→ {came_to}{_in_brackets(notes)}",
        facts={
            "open_id": one.open_id,
            "handler": one.handler,
            "result": one.result,
            "reason": one.reason,
            "late": one.late,
            "redrive": one.redrive,
            "decided_at": one.decided_at,
            "partition": one.partition,
            "offset": one.offset,
        },
    )


def _came(one: CardInput) -> What:
    """Tell an input by its id (`shared.core.events`)."""
    if one.event_id.startswith("req/"):
        return "requested"
    match one.event_id.rpartition("/")[2]:
        case "returned":
            return "returned"
        case "fired":
            return "reminded"
        case _:
            return "clicked"


def _letters(history: CardHistory) -> Iterator[Moment]:
    for letter in history.letters:
        yield Moment(
            at=letter.died_at,
            what="dead_letter",
            event_id=letter.event_id,
            text=f"{letter.handler}: {letter.reason}",
            facts={"handler": letter.handler, "reason": letter.reason, "parks": letter.parks},
        )


def _ended(effect: CardEffect) -> Moment:
    outcome = effect.outcome
    return Moment(
        at=effect.decided_at if outcome is None else outcome.finished_at,
        what="effect",
        event_id=effect.event_id,
        text=f"{_named(effect)}: {effect.status}{_in_brackets(_said(effect))}",
        facts=_facts(effect),
    )


def _waits(effect: CardEffect, history: CardHistory) -> Moment:
    waits = waits_for(effect, history)
    return Moment(
        at=effect.due,
        what="waiting",
        event_id=effect.event_id,
        text=f"{_named(effect)} waits for {IN_WORDS[waits]}{_in_brackets(_said(effect))}",
        facts={**_facts(effect), "waits_for": waits},
    )


def _named(effect: CardEffect) -> str:
    return f"{effect.kind} {effect.index} of {shown_target(effect.target)}"


def _said(effect: CardEffect) -> list[str | None]:
    outcome = effect.outcome
    if outcome is None:
        return []
    return [
        outcome.reason,
        _code(outcome),
        f"HTTP {outcome.http_status}" if outcome.code is None and outcome.http_status else None,
        f"log id {outcome.log_id}" if outcome.log_id else None,
        f"tried {tries} times" if (tries := _tries(effect)) > 1 else None,
        f"uses left {outcome.uses_left}" if outcome.uses_left is not None else None,
    ]


def _code(outcome: EffectOutcome) -> str | None:
    if not outcome.code:
        return None
    told = meaning(outcome.code)
    return f"code {outcome.code}" if told is None else f"code {outcome.code}: {told}"


def _tries(effect: CardEffect) -> int:
    """Return how often it was tried: each failure is an outcome, whosever fault it was, and so is a redrive's begin."""
    ended_untried = effect.status in {"superseded", "refused", "unknown"}
    return effect.k - ended_untried


def _facts(effect: CardEffect) -> Mapping[str, object]:
    outcome = effect.outcome
    told: dict[str, object] = {
        "index": effect.index,
        "kind": effect.kind,
        "target": shown_target(effect.target),
        "audience": effect.audience,
        "status": effect.status,
        "outcomes": effect.k,
        "tries": _tries(effect),
        "attempts": effect.attempts,
        "decided_at": effect.decided_at,
        "marked_at": effect.marked_at,
    }
    if effect.status == "pending":
        told["due"] = effect.due
    if outcome is not None:
        names = ("reason", "code", "http_status", "log_id", "uses_left", "sequence", "sent_message_id", "finished_at")
        told |= {name: value for name in names if (value := getattr(outcome, name)) is not None}
    return told


def _in_brackets(notes: Sequence[str | None]) -> str:
    told = ", ".join(note for note in notes if note)
    return f" ({told})" if told else ""
