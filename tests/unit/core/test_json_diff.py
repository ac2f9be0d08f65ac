"""What differs between two JSON values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.json_diff import ABSENT, Change, json_diff, text_diff
from shared.core.json_text import JsonText

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("a/~é", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("a/~", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def _told(was: Any, now: Any) -> list[tuple[str, Any, Any]]:
    return [(change.path, change.was, change.now) for change in json_diff(was, now)]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"a": 2}, [("/a", 1, 2)]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, [("/a/b", "x", "y")]),
        ({}, {"a": None}, [("/a", ABSENT, None)]),
        ({"a": None}, {}, [("/a", None, ABSENT)]),
        ({"a/b": 1, "c~d": 1}, {"a/b": 2, "c~d": 2}, [("/a~1b", 1, 2), ("/c~0d", 1, 2)]),
        ([1, 2, 3], [0, 1, 2, 3], [("/0", ABSENT, 0)]),
        ([1, 2, 3], [1, 3], [("/1", 2, ABSENT)]),
        ([{"t": "a"}, 2], [{"t": "b"}, 2], [("/0/t", "a", "b")]),
        ([1, 1], [1, 1, 1], [("/2", ABSENT, 1)]),
        (1, 1.0, [("", 1, 1.0)]),
        ({"on": 1}, {"on": True}, [("/on", 1, True)]),
        ({"a": []}, {"a": {}}, [("/a", [], {})]),
    ],
)
def test_each_place_that_differs_is_told(was: Any, now: Any, told: list[tuple[str, Any, Any]]) -> None:
    """By its pointer, with what was there and what is."""
    assert told == _told(was, now)


@given(_JSON, _JSON)
def test_nothing_is_told_exactly_of_what_is_the_same(was: Any, now: Any) -> None:
    """As canonical JSON text has it."""
    assert (json.dumps(was, sort_keys=True) == json.dumps(now, sort_keys=True)) == (_told(was, now) == [])


@given(_JSON, _JSON)
def test_the_way_back_is_told_of_as_many_places(was: Any, now: Any) -> None:
    """Reversed, each change is the same with its sides exchanged."""
    there = {(change.path, repr(change.was), repr(change.now)) for change in json_diff(was, now)}
    back = {(change.path, repr(change.now), repr(change.was)) for change in json_diff(now, was)}
    assert there == back


def test_texts_are_compared_by_what_they_say() -> None:
    """Not by how they are spaced; what is no JSON, as it stands; what was not there, as absent."""
    assert [] == text_diff(JsonText('{"a": 1}'), JsonText('{"a":1}'))
    assert [Change(path="", was=ABSENT, now=1)] == text_diff(None, JsonText("1"))
    assert [Change(path="", was="{", now={})] == text_diff(JsonText("{"), JsonText("{}"))


def test_what_is_nested_out_of_all_reason_is_told_as_a_whole() -> None:
    """A value of a thousand levels does not end the program."""
    deep: Any = 1
    other: Any = 2
    for _ in range(400):
        deep, other = [deep], [other]
    (change,) = json_diff(deep, other)
    assert 100 == change.path.count("/0")
