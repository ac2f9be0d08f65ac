"""Elements of a card of JSON 2.0, found by their ids."""

from collections.abc import Iterator
from typing import Any, Final

from shared.core.json_text import JsonText, json_text, json_value
from shared.feishu.limits import CARD_ELEMENTS

_TAG: Final = '"tag"'

_NO_ELEMENTS_IN: Final = frozenset({"value", "behaviors"})
"""What a component brings back when it is used, which may look like anything."""


def with_element(card: JsonText, element_id: str, element: JsonText) -> JsonText | None:
    """Return the card with another element in this one's place; ``None`` if it has none of that id, or is no JSON."""
    new = _value(element)
    if not isinstance(new, dict):
        return None
    return _changed(card, element_id, lambda old: {"element_id": old["element_id"], **new})


def with_text(card: JsonText, element_id: str, text: str) -> JsonText | None:
    """Return the card with this text in an element; ``None`` if it has none of that id, or is no JSON."""
    return _changed(card, element_id, lambda old: {**old, "content": text})


def too_many(card: JsonText) -> bool:
    """
    Tell whether a card of JSON 2.0 has more elements than the platform takes, nested ones included.

    Source: docs/reference/platform.md, "Cards as entities".
    """
    if card.count(_TAG) <= CARD_ELEMENTS:
        return False
    whole = _value(card)
    if not isinstance(whole, dict) or whole.get("schema") != "2.0":
        return False
    body = whole.get("body")
    return sum(1 for _ in _elements(body)) > CARD_ELEMENTS


def _elements(body: Any) -> Iterator[dict[str, Any]]:
    """Yield every object below that has a tag: also a button's text, and whatever else is an element in an element."""
    below = [body]
    while below:
        node = below.pop()
        if isinstance(node, dict):
            inside = [value for name, value in node.items() if name not in _NO_ELEMENTS_IN]
        else:
            inside = node if isinstance(node, list) else []
        yield from (each for each in inside if isinstance(each, dict) and isinstance(each.get("tag"), str))
        below += inside


def _changed(card: JsonText, element_id: str, change: Any) -> JsonText | None:
    whole = _value(card)
    changed, found = _replaced(whole, element_id, change)
    if not found:
        return None
    try:
        return json_text(changed)
    except ValueError:
        return None  # It holds a number that we could read and cannot write.


def _replaced(value: Any, element_id: str, change: Any) -> tuple[Any, bool]:
    match value:
        case dict() if value.get("element_id") == element_id:
            return change(value), True
        case dict():
            parts = {name: _replaced(part, element_id, change) for name, part in value.items()}
            return {name: part for name, (part, _) in parts.items()}, any(found for _, found in parts.values())
        case list():
            some = [_replaced(part, element_id, change) for part in value]
            return [part for part, _ in some], any(found for _, found in some)
        case _:
            return value, False


def _value(text: JsonText) -> Any:
    try:
        return json_value(text)
    except (ValueError, RecursionError):
        return None
