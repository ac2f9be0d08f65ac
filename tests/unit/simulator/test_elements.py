"""Edits of cards leave what they were given as it was."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from simulator import elements

CARD: dict[str, Any] = {
    "schema": "2.0",
    "config": {"update_multi": True},
    "body": {
        "elements": [
            {"tag": "markdown", "element_id": "a", "content": "一"},
            {"tag": "column_set", "columns": [{"tag": "column", "element_id": "c", "elements": [{"tag": "hr"}]}]},
        ]
    },
}
NEW: dict[str, Any] = {"tag": "hr", "element_id": "n"}

EDITS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "insert_before": lambda card: elements.insert(card, [NEW], how="insert_before", target="a"),
    "insert_after": lambda card: elements.insert(card, [NEW], how="insert_after", target="c"),
    "append": lambda card: elements.insert(card, [NEW], how="append", target=None),
    "append to a column": lambda card: elements.insert(card, [NEW], how="append", target="c"),
    "remove": lambda card: elements.remove(card, "c"),
    "replace": lambda card: elements.replace(card, "a", NEW),
    "merge": lambda card: elements.merge(card, "a", {"content": "二"}),
    "write": lambda card: elements.write(card, "a", "二"),
    "set up": lambda card: elements.set_up(card, {"config": {"streaming_mode": True}, "card_link": {"url": "x"}}),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_makes_another_card(edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Neither card nor the new elements change afterwards, whatever is done with the result."""
    before, new = json.dumps(CARD), json.dumps(NEW)
    changed = edit(CARD)
    assert json.dumps(changed) != before
    for each in elements.elements(changed):
        each["content"] = "spoiled"
    assert (before, new) == (json.dumps(CARD), json.dumps(NEW))


def test_a_card_without_a_body_gets_one() -> None:
    """What is added has a place."""
    assert {"body": {"elements": [NEW]}} == elements.insert({}, [NEW], how="append", target=None)


def test_outer_elements_come_first() -> None:
    """Every element is found once, however deep."""
    assert ["markdown", "column_set", "column", "hr"] == [each["tag"] for each in elements.elements(CARD)]
