"""Who sees an effect (pure)."""

from shared.core.effects import AnsweredCard, RefreshPreview, StoredEffect, UpdateCard
from shared.core.events import EVERYBODY, Asked, RequestReceived
from shared.feishu.cards import is_exclusive


def audience(effect: StoredEffect, asked: Asked) -> str:
    """Return who sees an effect of this input: everybody, one open id, or several, joined by commas."""
    match effect:
        case UpdateCard(audience=str(person)):
            return person
        case UpdateCard(card=card) | AnsweredCard(card=card) if is_exclusive(card):
            return clicker(asked)
        case RefreshPreview(open_ids=open_ids) if open_ids:
            return ",".join(sorted(open_ids))
        case _:
            return EVERYBODY


def clicker(asked: Asked) -> str:
    """Return the open id of who clicked, perhaps a while ago; empty if nobody did, so that nobody is shown anything."""
    return "" if isinstance(asked, RequestReceived) else asked.operator.open_id or ""
