"""
What time travel has found: for each handler how many inputs it decided otherwise, and examples (pure).

Findings of partitions are added up: a card lies in one partition, so no card is counted twice.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from shared.core.events import Asked, Decided, RedriveRequested
from shared.core.ids import AppId, EventId, MessageId
from shared.core.json_text import EpochMs
from worker.traveling.compare import Change

Why = Literal["decided_otherwise", "same_code", "nondeterministic", "follows"]
"""
Of a difference: the handler decides otherwise about the same click on the same card; and its own code is the same, so
it depends on something else; and it does not even agree with itself; or the card had become another one before.
"""

CARDS_NAMED: Final = 50
"""How many of a handler's cards are named in a finding; all of them are in the differences."""


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="what", tag="difference"):
    """An input that is decided otherwise than it was."""

    why: Why
    handler: str
    app_id: AppId
    event_id: EventId
    message_id: MessageId | None = None
    occurred_at: EpochMs
    redrive: int = 0
    changes: tuple[Change, ...]


class HandlerFindings(msgspec.Struct, kw_only=True):
    """
    What was found of one handler.

    Attributes:
        inputs: How many of its inputs were decided again.
        differing: How many of them it decides otherwise, on the same card; `follows`: on one that had become another.
        nondeterministic: Of how many it decides otherwise each time; `same_code`: and its own code is the same.
        cards: How many cards it decides otherwise about, and `named` the first of them.
        kinds: In how many of the differing ones what differs.
        examples: Some of the differing ones.
    """

    inputs: int = 0
    differing: int = 0
    follows: int = 0
    nondeterministic: int = 0
    same_code: int = 0
    cards: int = 0
    kinds: dict[str, int] = {}
    named: list[MessageId] = []
    examples: list[Difference] = []


class Findings(msgspec.Struct, kw_only=True):
    """
    What was found.

    Attributes:
        by_handler: Of each handler, by its name.
        compared: How many inputs were decided again and compared; of `cards` different cards.
        before: How many inputs lay before the period, or behind it.
        as_recorded: How many stayed as they were recorded, by what had brought that about.
        undecided: Inputs about which the log has no decision.
        duplicates: Second deliveries.
        unread: Inputs that nobody can read.
        inputless: Decisions whose inputs are gone.
        begun_later: Decisions that a card was taken over from, because an earlier one is not in the log.
    """

    by_handler: dict[str, HandlerFindings] = {}
    compared: int = 0
    cards: int = 0
    before: int = 0
    as_recorded: dict[str, int] = {}
    undecided: int = 0
    duplicates: int = 0
    unread: int = 0
    inputless: int = 0
    begun_later: int = 0

    @property
    def differing(self) -> int:
        """How many inputs are decided otherwise, and do not merely follow."""
        return sum(found.differing for found in self.by_handler.values())

    @property
    def follows(self) -> int:
        """How many inputs are decided otherwise because their card had become another one."""
        return sum(found.follows for found in self.by_handler.values())


def note(counts: dict[str, int], name: str, more: int = 1) -> None:
    """Add to a count."""
    counts[name] = counts.get(name, 0) + more


def difference(
    fact: Asked | RedriveRequested, recorded: Decided, why: Why, handler: str, changes: tuple[Change, ...]
) -> Difference:
    """Return an input that is decided otherwise."""
    return Difference(
        why=why,
        handler=handler,
        app_id=fact.app_id,
        event_id=fact.event_id,
        message_id=fact.message_id,
        occurred_at=recorded.occurred_at,
        redrive=recorded.redrive,
        changes=changes,
    )


def add(found: HandlerFindings, one: Difference, *, is_first_of_card: bool, examples: int) -> None:
    """Take in a difference."""
    if one.why == "follows":
        found.follows += 1
        return
    found.differing += 1
    found.nondeterministic += one.why == "nondeterministic"
    found.same_code += one.why == "same_code"
    for kind in {change.kind for change in one.changes}:
        note(found.kinds, kind)
    if is_first_of_card:
        found.cards += 1
        if one.message_id is not None and len(found.named) < CARDS_NAMED:
            found.named.append(one.message_id)
        if len(found.examples) < examples:
            found.examples.append(one)


def added(findings: Findings, more: Findings, *, examples: int) -> Findings:
    """Return the findings of two partitions as one."""
    by_handler = dict(findings.by_handler)
    for name, found in more.by_handler.items():
        before = by_handler.get(name)
        by_handler[name] = found if before is None else _both(before, found, examples)
    return Findings(
        by_handler=by_handler,
        compared=findings.compared + more.compared,
        cards=findings.cards + more.cards,
        before=findings.before + more.before,
        as_recorded=_sum(findings.as_recorded, more.as_recorded),
        undecided=findings.undecided + more.undecided,
        duplicates=findings.duplicates + more.duplicates,
        unread=findings.unread + more.unread,
        inputless=findings.inputless + more.inputless,
        begun_later=findings.begun_later + more.begun_later,
    )


def _both(one: HandlerFindings, other: HandlerFindings, examples: int) -> HandlerFindings:
    return HandlerFindings(
        inputs=one.inputs + other.inputs,
        differing=one.differing + other.differing,
        follows=one.follows + other.follows,
        nondeterministic=one.nondeterministic + other.nondeterministic,
        same_code=one.same_code + other.same_code,
        cards=one.cards + other.cards,
        kinds=_sum(one.kinds, other.kinds),
        named=[*one.named, *other.named][:CARDS_NAMED],
        examples=sorted([*one.examples, *other.examples], key=lambda each: each.occurred_at)[:examples],
    )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in [*one, *(n for n in other if n not in one)]}
