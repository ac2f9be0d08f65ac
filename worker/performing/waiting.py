"""
Calls that wait for room, and whose turn it is when there is some (pure).

Each of them could look again and again whether there is room, and ten thousand of them would keep worker and database
busy with looking. So whoever finds none stays away for longer the more wait already, and is called up when its turn
comes. That is for speed only: who is forgotten here, in a crash or because there are too many, comes by itself.
"""

from typing import Final

from worker.ledger.leased import TargetKey

ROUND_MS: Final = 500
"""How long as many as there is room for stay away; the next ones so much longer, and so on."""

LONGEST_MS: Final = 30_000
"""Another worker may have room meanwhile."""

MOST: Final = 10_000
"""How many are remembered."""

ON_THE_WAY_S: Final = 1.0
"""Who was called up and did not come in this time was taken by another worker."""


class Waiting:
    """
    Targets that found no room, in the order in which they came.

    Args:
        room: How many there is room for at once.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: dict[TargetKey, None] = {}
        self._on_the_way: dict[TargetKey, float] = {}

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._waiting)

    def join(self, key: TargetKey) -> int:
        """Return for how long one that found no room stays away (ms)."""
        self._on_the_way.pop(key, None)
        if len(self._waiting) < MOST:
            self._waiting.setdefault(key)
        return min(LONGEST_MS, ROUND_MS * (1 + len(self._waiting) // self._room))

    def leave(self, key: TargetKey) -> None:
        """Note that one has found room."""
        self._waiting.pop(key, None)
        self._on_the_way.pop(key, None)

    def call_up(self, under_way: int, now_s: float) -> list[TargetKey]:
        """Return whose turn it is, beside those who were called up just before and are still to come."""
        self._on_the_way = {key: at for key, at in self._on_the_way.items() if now_s - at < ON_THE_WAY_S}
        free = max(0, self._room - under_way - len(self._on_the_way))
        chosen = [key for key, _ in zip(self._waiting, range(free), strict=False)]
        for key in chosen:
            del self._waiting[key]
            self._on_the_way[key] = now_s
        return chosen
