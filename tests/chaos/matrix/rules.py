"""
The rules of a row: what clients, log and gateways must have seen, whatever was broken.

Each is a function of the facts that yields the evidence against it, one line for each case. Numbers are those of the
README's table of guarantees.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.checker import Violation
from tests.chaos.matrix import logged, seen, worth
from tests.chaos.matrix.facts import Facts
from tests.chaos.matrix.history import RowHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One promise: its name, its number in the table of guarantees, and what yields the evidence of each breach."""

    name: str
    guarantee: str
    breaches: Callable[[Facts], Iterator[str]]


def check(history: RowHistory) -> list[Violation]:
    """Return every violation in a row's history, in the order of the rules."""
    facts = Facts(history)
    return [
        Violation(rule=rule.name, guarantee=rule.guarantee, evidence=evidence)
        for rule in RULES
        for evidence in rule.breaches(facts)
    ]


RULES: Final[Sequence[Rule]] = (
    Rule(name="every click is answered within 2.5 s", guarantee="G2", breaches=seen.answered_in_time),
    Rule(name="every click is accepted, as long as there is room", guarantee="G1", breaches=seen.all_accepted),
    Rule(name="who is not accepted is told so", guarantee="G1", breaches=seen.told_the_truth),
    Rule(name="every accepted click is in the log", guarantee="G1", breaches=logged.accepted_is_logged),
    Rule(name="only what was clicked is in the log", guarantee="G11", breaches=logged.logged_was_clicked),
    Rule(name="twice in the log is only what was in doubt", guarantee="G1", breaches=logged.twice_only_in_doubt),
    Rule(name="repetitions are equal", guarantee="G1", breaches=logged.repetitions_are_equal),
    Rule(name="cards keep their order", guarantee="G5", breaches=logged.cards_keep_their_order),
    Rule(name="every answer has its mark", guarantee="G6", breaches=logged.marked),
    Rule(name="marks lie behind their clicks", guarantee="G6", breaches=logged.marks_lie_behind),
    Rule(name="the spill drains and the breaker closes", guarantee="G1", breaches=worth.drains),
    Rule(name="no gateway ends by itself", guarantee="", breaches=worth.nobody_ended),
    Rule(name="the clicks were sent at their times", guarantee="", breaches=worth.was_offered),
    Rule(name="enough was broken to prove anything", guarantee="", breaches=worth.was_broken),
)
