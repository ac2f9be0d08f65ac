"""
Which rights of a callback are kept, because an effect of its decision may need them (pure).

That may also be one that is decided when something comes back, a function's result or an answer of the platform.
"""

from collections.abc import Sequence

from shared.core.events import Asked, InteractionReceived, PlannedEffect
from shared.core.folded import RightKey
from shared.core.rights import Right, needed
from shared.core.secret import Secret
from worker.ledger.leased import GivenRight


def rights(asked: Asked, effects: Sequence[PlannedEffect]) -> list[GivenRight]:
    """Return the tokens to store with a decision: none that nobody needs, for they are secrets."""
    if not isinstance(asked, InteractionReceived):
        return []
    given: dict[Right, str | None] = {"card": asked.card_token, "preview": asked.preview_token}
    return [
        GivenRight(key=RightKey(asked.app_id, asked.event_id, kind), token=Secret(token), received_at=asked.received_at)
        for kind, token in given.items()
        if token and any(needed(effect) == kind for effect in effects)
    ]
