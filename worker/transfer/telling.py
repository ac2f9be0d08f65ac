"""Who hears how far a transfer is."""

from typing import Protocol


class Told(Protocol):
    """A progress bar, or nobody."""

    def stage(self, name: str, total: int) -> None:
        """Something begins that has so many steps."""

    def advance(self, steps: int) -> None:
        """So many steps of it are done."""

    def say(self, line: str) -> None:
        """Something is not as usual."""
