"""
The judge: notes every rule that a caller broke.

A correct caller paces itself and lets no update leave before its click was answered, so after a run of ours this
list is empty. Refusals made by injected faults are never noted.
"""

from dataclasses import dataclass
from typing import Literal

from shared.core.json_text import EpochMs

Rule = Literal[
    "api_per_second",
    "api_per_minute",
    "message_per_second",
    "chat_per_second",
    "user_per_second",
    "update_before_answer",
    "update_expired",
    "card_too_large",
    "card_token_expired",
    "card_token_used_up",
    "open_ids_of_shared_card",
    "entity_per_second",
    "sequence_not_increased",
    "chat_ephemeral_per_second",
    "preview_refresh",
]
"""Which rule was broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """
    A broken rule.

    Attributes:
        n: Counts the violations from 1.
        api: The API that was called.
        target: The message, chat or person of the call.
    """

    n: int
    at_ms: EpochMs
    rule: Rule
    api: str
    target: str | None


class Judge:
    """What was broken, in order."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def note(self, rule: Rule, *, api: str, target: str | None, now: EpochMs) -> None:
        """Note one violation."""
        n = len(self.violations) + 1
        self.violations.append(Violation(n=n, at_ms=now, rule=rule, api=api, target=target))
