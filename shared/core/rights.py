"""Which right of a callback an effect needs (pure)."""

from typing import Literal

from shared.core.effects import AnsweredCard, Call, CallApi, FetchChat, FetchMessage, RefreshPreview, UpdateCard
from shared.core.events import EVERYBODY, PlannedEffect

Right = Literal["card", "preview"]
"""To update the clicked card twice, or to refresh a link's preview."""


def needed(planned: PlannedEffect) -> Right | None:
    """Return the right that an effect may need, or one that is decided when it comes back."""
    match planned.effect:
        case UpdateCard() | AnsweredCard() if planned.audience != EVERYBODY:
            return "card"
        case RefreshPreview():
            return "preview"
        case Call() | FetchChat() | FetchMessage() | CallApi():
            return "card"
        case _:
            return None
