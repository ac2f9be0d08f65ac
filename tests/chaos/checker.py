"""
The checker: reads what a run left behind and proves that every promise was kept, or names the breach.

Pure: the same history gives the same violations, so a kept history can be checked again (``--check FOLDER``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.facts import Facts
from tests.chaos.history import History
from tests.chaos.rules import RULES, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """
    One breach of one promise.

    Attributes:
        rule: What was promised.
        guarantee: Its number in the table of guarantees, if it has one.
        evidence: What was found: ids, offsets, times (epoch ms).
    """

    rule: str
    guarantee: str
    evidence: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.guarantee or '--'} {self.rule}: {self.evidence}"


def check(history: History, rules: Sequence[Rule] = RULES) -> list[Violation]:
    """Return every violation in a history, in the order of the rules."""
    facts = Facts(history)
    return [
        Violation(rule=rule.name, guarantee=rule.guarantee, evidence=evidence)
        for rule in rules
        for evidence in rule.breaches(facts)
    ]
