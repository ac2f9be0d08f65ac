"""
A card as it was at a moment of the log, in one of the two worlds: the recorded one, and the one travelled in (pure).

Both evolve by the same function from `Decided` facts, so that they can be compared at any moment.
"""

from typing import Any, Final

import msgspec

from shared.core.events import Decided
from shared.core.ids import EventId
from shared.core.json_text import EpochMs, JsonText, json_value
from shared.core.races import Standings
from worker.ledger.decided import CardKey, CardRow


class CardThen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A card between two decisions.

    Attributes:
        version: 0: nothing was decided about it yet.
        parked: The inputs that it waits for while it stands still, in their order.
    """

    version: int = 0
    state: JsonText | None = None
    content: JsonText | None = None
    newest_at: EpochMs | None = None
    rules: Standings = {}
    parked: tuple[EventId, ...] = ()

    def __repr__(self) -> str:
        """Name the version, nothing that a person typed."""
        return f"CardThen(version={self.version})"


UNTOUCHED: Final = CardThen()


def after(card: CardThen, decided: Decided) -> CardThen:
    """Return a card after a decision about it."""
    parked = card.parked
    if decided.parks and decided.event_id not in parked:
        parked = (*parked, decided.event_id)
    elif not decided.parks and decided.event_id in parked:
        parked = tuple(waiting for waiting in parked if waiting != decided.event_id)
    if decided.version == 0:
        return card if parked is card.parked else msgspec.structs.replace(card, parked=parked)
    return CardThen(
        version=decided.version,
        state=decided.state,
        content=decided.intended,
        newest_at=decided.newest_at,
        rules=decided.races(card.rules),
        parked=parked,
    )


def row_of(card: CardThen, key: CardKey) -> CardRow | None:
    """Return a card as the decider knows it, or ``None`` if nothing was decided about it."""
    if card.version == 0:
        return None
    return CardRow(
        app_id=key.app_id,
        message_id=key.message_id,
        version=card.version,
        state=card.state,
        content=card.content,
        newest_at=card.newest_at,
        rules=card.rules,
    )


def is_same(one: CardThen, other: CardThen) -> bool:
    """Say whether two cards are the same to whoever decides next; JSON is compared as values, not as text."""
    return (
        (one.version, one.newest_at, one.parked) == (other.version, other.newest_at, other.parked)
        and one.rules == other.rules
        and is_same_json(one.state, other.state)
        and is_same_json(one.content, other.content)
    )


def is_same_json(one: JsonText | None, other: JsonText | None) -> bool:
    """Say whether two texts hold the same JSON value, whatever the order of keys or the spaces."""
    if one == other or one is None or other is None:
        return one == other
    try:
        return alike(json_value(one), json_value(other))
    except (ValueError, RecursionError):
        return False  # Nobody can read them, and the texts differ.


def alike(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same; to Python ``true`` is 1."""
    match one, other:
        case bool(), _:
            return one is other
        case _, bool():
            return False
        case dict(), dict():
            return one.keys() == other.keys() and all(alike(part, other[name]) for name, part in one.items())
        case list(), list():
            return len(one) == len(other) and all(map(alike, one, other))
        case _:
            return bool(one == other)
