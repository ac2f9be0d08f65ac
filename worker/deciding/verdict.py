"""What was decided about one input, before it is stored: the value that the parts of deciding hand to each other."""

import msgspec

from shared.app.handler import Handler
from shared.core.decision import Card
from shared.core.events import ClaimResult, PlannedEffect, RequestReceived
from shared.core.json_text import JsonText
from shared.core.races import NOBODY_YET, Standing


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was decided about one interaction, or one request.

    Each input makes three, one from the other: of a frozen dataclass that would take ten times as long.

    Attributes:
        requests: Updates of other cards, which leave to be decided there.
        state: JSON text of the new state; ``None`` keeps it.
        content: The card to show from now on; ``None`` keeps it.
        seen: The card the handler saw.
        added: Who joined the handler's race.
        parks: The input failed, and its card stands still until it is decided.
    """

    result: ClaimResult
    reason: str | None = None
    handler: Handler | None = None
    effects: tuple[PlannedEffect, ...] = ()
    requests: tuple[RequestReceived, ...] = ()
    state: JsonText | None = None
    content: JsonText | None = None
    late: bool = False
    seen: Card | None = None
    added: Standing = NOBODY_YET
    parks: bool = False
