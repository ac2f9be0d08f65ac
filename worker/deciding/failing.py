"""
When so much fails that deciding stops: a broken deploy, and no single card's trouble (pure).

Cards are counted, not clicks: a card that always fails stops no other, however often it is pressed. Left out is what
no handler decided (its app or its caller is unknown, its card stands still), and what was redriven.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Final

from shared.core.events import Decided
from worker.deciding.grant import UNKNOWN_APP, UNKNOWN_CALLER

WINDOW: Final = 200
"""Of so many decisions the share is taken, the newest ones."""

FEW_CARDS: Final = 20
"""So many cards must have failed, so that a quiet evening's share is not taken for a deploy's."""

SHARE: Final = 50
"""In percent, unless set otherwise."""

STANDS_BEHIND: Final = "parked"
"""Why an input fails whose card stands still."""

_NO_HANDLER: Final = frozenset({STANDS_BEHIND, UNKNOWN_APP, UNKNOWN_CALLER})


class Failing:
    """
    Looks at the newest decisions.

    Args:
        share: How many percent of the cards may not fail; 0: any.
    """

    def __init__(self, share: int = SHARE) -> None:
        self._share = share
        self._newest: deque[tuple[Hashable, bool]] = deque(maxlen=WINDOW)

    def note(self, decided: Iterable[Decided]) -> None:
        """Take decisions in, in their order."""
        for one in decided:
            if one.result not in {"ignored", "twin"} and not one.redrive and one.reason not in _NO_HANDLER:
                self._newest.append(((one.app_id, one.message_id or one.event_id), one.result == "failed"))

    @property
    def share(self) -> tuple[int, int]:
        """How many cards of these decisions failed, and how many there are."""
        return len({card for card, failed in self._newest if failed}), len({card for card, _ in self._newest})

    @property
    def is_too_much(self) -> bool:
        """Whether deciding is to stop."""
        failed, cards = self.share
        return bool(self._share) and failed >= FEW_CARDS and failed * 100 >= self._share * cards

    @property
    def room(self) -> int | None:
        """How many records to decide before looking again; ``None``: any number, for all goes well."""
        failed, cards = self.share
        goes_well = len(self._newest) == WINDOW and failed * 200 < self._share * cards
        return None if goes_well or not self._share else WINDOW
