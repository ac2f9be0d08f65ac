"""
When an effect may start (pure). Whoever says when one is due goes by this.

The platform undoes an update of the clicked card that comes before the callback's answer, or while a client is painting
that. So what waits for the answer starts a settle gap after its click's answered mark. The card that the click was
answered with waits for no client once it was delivered: it is on the screen. And where no mark comes, what waits starts
when the platform itself has stopped waiting for the answer.
"""

from typing import Final, Protocol, assert_never

from shared.core.effects import AnsweredCard, StoredEffect
from shared.core.events import Eligibility
from shared.core.json_text import EpochMs

UNANSWERED_MS: Final = 3_000
"""Without a mark: the platform's own time limit for an answer (docs/reference/platform.md, "Deadlines")."""


class Waiting(Protocol):
    """An effect as it was decided: `shared.core.events.PlannedEffect`, or the same folded."""

    @property
    def effect(self) -> StoredEffect:
        """What is to be done."""

    @property
    def eligibility(self) -> Eligibility:
        """Whether it waits for an answer."""

    @property
    def due(self) -> EpochMs | None:
        """Its own time (ms), if it has one; of what waits for an answer, that of the answer."""


def wait_ms(effect: Waiting, *, since: EpochMs, delivered: bool | None, settle_ms: int) -> int:
    """
    Return how long an effect that nobody has tried yet has to wait.

    Args:
        since: From when on: when it was decided or, if its click's answered mark was seen later, then (ms).
        delivered: What that mark says; ``None``: there is none yet.
        settle_ms: The settle gap: how long a client may still be painting the answer.
    """
    if effect.due is not None:
        return max(0, effect.due - since + (settle_ms if effect.eligibility == "after_answer" else 0))
    match effect.eligibility:
        case "at_once":
            return 0
        case "after_answer" if delivered is None:
            return UNANSWERED_MS
        case "after_answer":
            is_answered_card = isinstance(effect.effect, AnsweredCard)
            return marked_ms(is_answered_card=is_answered_card, delivered=delivered, settle_ms=settle_ms)
        case other:
            assert_never(other)


def marked_ms(*, is_answered_card: bool, delivered: bool, settle_ms: int) -> int:
    """Return how long what waits for an answer goes on waiting once its click's answered mark was seen."""
    return 0 if is_answered_card and delivered else settle_ms
