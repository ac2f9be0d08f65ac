"""Elements of a card: found by their ids, replaced, counted."""

import json

import pytest

from shared.core.json_text import JsonText, json_text
from shared.feishu.elements import too_many, with_element, with_text

CARD = json_text(
    {
        "schema": "2.0",
        "body": {
            "elements": [
                {"tag": "markdown", "element_id": "top", "content": "a"},
                {"tag": "column_set", "columns": [{"tag": "column", "elements": [{"tag": "hr", "element_id": "in"}]}]},
            ]
        },
    }
)


def test_an_element_is_replaced_wherever_it_stands() -> None:
    """It keeps its id, unless the new one has another."""
    changed = with_element(CARD, "in", JsonText('{"tag":"markdown","content":"b"}'))
    assert changed is not None
    column = json.loads(changed)["body"]["elements"][1]["columns"][0]
    assert [{"element_id": "in", "tag": "markdown", "content": "b"}] == column["elements"]


def test_a_text_is_written_into_its_element() -> None:
    """The rest of it stays."""
    changed = with_text(CARD, "top", "b")
    assert changed is not None
    assert {"tag": "markdown", "element_id": "top", "content": "b"} == json.loads(changed)["body"]["elements"][0]


@pytest.mark.parametrize("card", [CARD, "{}", "no JSON", "[" * 100_000, '{"element_id":"other","x":1e400}'])
def test_what_has_no_such_element_cannot_be_changed(card: str) -> None:
    """Nor what cannot be read."""
    assert None is with_text(JsonText(card), "nowhere", "b")


def test_what_cannot_be_written_again_is_not_known_any_more() -> None:
    """A number beyond Python's: rather nothing than another card."""
    assert None is with_text(JsonText('{"element_id":"a","x":1e400}'), "a", "b")


@pytest.mark.parametrize(("elements", "expected"), [(200, False), (201, True)])
def test_a_card_has_200_elements_at_most_nested_ones_included(elements: int, expected: bool) -> None:  # noqa: FBT001
    """Cards as entities: 300305 beyond that (docs/reference/platform.md, "Cards as entities")."""
    column = {"tag": "column", "elements": [{"tag": "hr"}] * (elements - 2)}
    card = {"schema": "2.0", "body": {"elements": [{"tag": "column_set", "columns": [column]}]}}
    assert expected == too_many(json_text(card))


@pytest.mark.parametrize(("divs", "expected"), [(100, False), (101, True)])
def test_what_stands_in_an_element_counts_whatever_holds_it(divs: int, expected: bool) -> None:  # noqa: FBT001
    """A text is an element of its own: the platform counts it."""
    div = {"tag": "div", "text": {"tag": "plain_text", "content": "a"}}
    assert expected == too_many(json_text({"schema": "2.0", "body": {"elements": [div] * divs}}))


def test_what_a_button_brings_back_is_no_element() -> None:
    """It may look like one."""
    looks = {"tag": "hr"}
    button = {"tag": "button", "value": looks, "behaviors": [{"type": "callback", "value": looks}]}
    assert not too_many(json_text({"schema": "2.0", "body": {"elements": [button] * 200}}))


def test_only_cards_of_json_2_0_are_counted() -> None:
    """The older ones have no such limit."""
    assert not too_many(json_text({"elements": [{"tag": "hr"}] * 300}))
