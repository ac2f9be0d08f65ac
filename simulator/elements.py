"""
Edits of a card by the ids of its elements. Each returns another card and leaves the one it was given.

An element is an object with a ``tag``, wherever it stands in the card; what a button carries in its ``value`` is not
searched. Source: docs/reference/platform.md, "Cards as entities".
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, Final, Literal

from simulator.refusals import Refused

Insertion = Literal["insert_before", "insert_after", "append"]

ADD_FAILED: Final = 300315
DELETE_FAILED: Final = 300314
CHANGE_FAILED: Final = 300313
REPLACE_FAILED: Final = 300121
TAG_CHANGED: Final = 300312
NOT_A_TEXT: Final = 300310

_NO_ELEMENTS_IN: Final = frozenset({"value", "behaviors"})
_TEXTS: Final = frozenset({"markdown", "plain_text"})

Card = dict[str, Any]
Place = tuple[Any, Any]
"""An object or array, and under which key of it an element stands."""


def elements(node: object) -> Iterator[dict[str, Any]]:
    """Return every element below, outer ones first."""
    for holder, key in _places(node):
        yield holder[key]


def insert(card: Card, new: Sequence[Card], *, how: Insertion, target: str | None) -> Card:
    """
    Return a card with these elements before or after another, or last in a container; without one, last in the body.

    Raises:
        Refused: 300315 there is no such element, or it cannot hold others.
    """
    changed = deepcopy(card)
    if how == "append":
        _contents(changed, target).extend(deepcopy(list(new)))
        return changed
    holder, index = _place(changed, target, ADD_FAILED)
    if not isinstance(holder, list):
        raise Refused(ADD_FAILED, f"nothing can stand beside {target}")
    at = index if how == "insert_before" else index + 1
    holder[at:at] = deepcopy(list(new))
    return changed


def remove(card: Card, element_id: str) -> Card:
    """
    Return a card without an element and what is in it.

    Raises:
        Refused: 300314 there is none, or its parent cannot do without it.
    """
    changed = deepcopy(card)
    holder, index = _place(changed, element_id, DELETE_FAILED)
    if not isinstance(holder, list):
        raise Refused(DELETE_FAILED, f"{element_id} is a part of its parent")
    del holder[index]
    return changed


def replace(card: Card, element_id: str, new: Card) -> Card:
    """
    Return a card with another element in this one's place.

    Raises:
        Refused: 300121 there is no such element.
    """
    changed = deepcopy(card)
    holder, key = _place(changed, element_id, REPLACE_FAILED)
    holder[key] = deepcopy(new)
    return changed


def merge(card: Card, element_id: str, members: Card) -> Card:
    """
    Return a card with some members of an element changed.

    Raises:
        Refused: 300313 there is no such element; 300312 its tag would change.
    """
    changed = deepcopy(card)
    holder, key = _place(changed, element_id, CHANGE_FAILED)
    if members.get("tag", holder[key]["tag"]) != holder[key]["tag"]:
        raise Refused(TAG_CHANGED)
    holder[key] |= deepcopy(members)
    return changed


def write(card: Card, element_id: str, text: str) -> Card:
    """
    Return a card with another text in a text element.

    Raises:
        Refused: 300313 there is no such element; 300310 it is no text.
    """
    changed = deepcopy(card)
    holder, key = _place(changed, element_id, CHANGE_FAILED)
    if holder[key]["tag"] not in _TEXTS:
        raise Refused(NOT_A_TEXT)
    holder[key]["content"] = text
    return changed


def set_up(card: Card, settings: Card) -> Card:
    """Return a card with some members of its ``config`` changed, and its ``card_link`` if one is given."""
    changed = deepcopy(card)
    if "config" in settings:
        changed["config"] = {**changed.get("config", {}), **deepcopy(settings["config"])}
    if "card_link" in settings:
        changed["card_link"] = deepcopy(settings["card_link"])
    return changed


def _contents(card: Card, target: str | None) -> list[Any]:
    if not target:
        return list_in(card.setdefault("body", {}), "elements")
    holder, key = _place(card, target, ADD_FAILED)
    for name in ("elements", "columns"):
        if isinstance(holder[key].get(name), list):
            return list_in(holder[key], name)
    raise Refused(ADD_FAILED, f"{target} holds no elements")


def list_in(holder: Card, name: str) -> list[Any]:
    """Return the array under a name, an empty one put there if there is none."""
    found: list[Any] = holder.setdefault(name, [])
    return found


def _place(card: Card, element_id: str | None, code: int) -> Place:
    for holder, key in _places(card):
        if holder[key].get("element_id") == element_id:
            return holder, key
    raise Refused(code, f"element {element_id} does not exist")


def _places(node: object) -> Iterator[Place]:
    pairs: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(node, dict):
        pairs = ((key, value) for key, value in node.items() if key not in _NO_ELEMENTS_IN)
    elif isinstance(node, list):
        pairs = enumerate(node)
    for key, value in pairs:
        if isinstance(value, dict) and isinstance(value.get("tag"), str):
            yield node, key
        yield from _places(value)
