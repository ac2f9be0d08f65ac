"""What a handler decides: new card state and effects."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.core.effects import Effect
from shared.core.json_text import EpochMs, JsonText, json_value
from shared.core.races import Standings


class _Unchanged:
    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = _Unchanged()
"""The card's state stays what it was."""


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What a handler returns when it keeps state; returning a plain list of effects keeps the state as it was.

    Attributes:
        effects: Performed in this order where they act on the same card or chat.
        state: Any JSON value, kept with the card and handed to the next handler as ``card.state``.
    """

    effects: Sequence[Effect] = ()
    state: Any = UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """
    The card a click came from, as this program intends it to be.

    Read-only, and never the screen's state, which depends on the timing of calls.

    Attributes:
        version: How many decisions changed the card.
        state_text: JSON text of what the last decision returned.
        content_text: JSON text of the card that we intend to show; ``None`` if we never set one.
        chat_id: The chat that the input came from, else the one that we sent it to.
        sent_at: When the platform created the message (ms), when we sent it.
        rules: How the race rules on it stand, by their handler's name.
    """

    version: int = 0
    state_text: JsonText | None = field(default=None, repr=False)
    content_text: JsonText | None = field(default=None, repr=False)
    chat_id: str | None = None
    sent_at: EpochMs | None = None
    rules: Standings = field(default_factory=dict, repr=False)

    @property
    def state(self) -> Any:
        """What the last decision for this card returned as state, else ``None``; yours to change."""
        return None if self.state_text is None else json_value(self.state_text)

    @property
    def content(self) -> Any:
        """The card's JSON as we intend to show it, else ``None``; yours to change."""
        return None if self.content_text is None else json_value(self.content_text)
