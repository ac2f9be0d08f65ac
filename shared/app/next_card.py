"""What a decision makes of its card (pure): what the next click meets, in a worker and in tests of handlers."""

from dataclasses import dataclass, replace

from shared.core.decision import Card
from shared.core.json_text import JsonText
from shared.core.races import NOBODY_YET, Standing, joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    What is decided about a card.

    Attributes:
        decides: Its handler decided, be it nothing: the input was not merely counted, and neither lost nor failed.
        state: JSON text of the new state; ``None`` keeps it.
        content: The card to show from now on; ``None`` keeps it.
        handler: Whose race `added` joined.
    """

    decides: bool
    state: JsonText | None = None
    content: JsonText | None = None
    handler: str | None = None
    added: Standing = NOBODY_YET


def next_card(card: Card, change: Change) -> Card | None:
    """
    Return the card after a decision; ``None``: it is as it was.

    From the first decision that changed it, each one counts, also one that changes nothing.
    """
    is_changed = change.state is not None or change.content is not None or change.added != NOBODY_YET
    if not is_changed and not (change.decides and card.version):
        return None
    return replace(
        card,
        version=card.version + 1,
        state_text=change.state or card.state_text,
        content_text=change.content or card.content_text,
        rules=card.rules if change.handler is None else joined(card.rules, change.handler, change.added),
    )
