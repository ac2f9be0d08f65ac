"""
What differs between two JSON values, place by place (pure).

Places are JSON Pointers (https://www.rfc-editor.org/rfc/rfc6901): ``/header/title/content``, ``/elements/2``, and the
empty text for the whole. Of two lists, what is the same at their beginnings and at their ends is left out first, so
that one element put in between is told as one, and not as a change of everything behind it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.core.json_text import JsonText, json_value

DEPTH: Final = 100
"""How deep values are looked into; what lies deeper is told as a whole. Cards and states are far from it."""


class Absent:
    """Stands where a value has no such place."""

    def __repr__(self) -> str:
        """Say so."""
        return "ABSENT"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One place that differs.

    Attributes:
        path: A JSON Pointer. In a list that grew or shrank, it counts as in the newer one; what is gone, as in the
            older.
        was: The value there before, and `now` the one since: decoded JSON, or `ABSENT`.
    """

    path: str
    was: Any
    now: Any


def json_diff(was: Any, now: Any) -> Sequence[Change]:
    """
    Return what differs between two decoded JSON values, in the order of the newer one; nothing if they are the same.

    A number written otherwise (``1`` and ``1.0``) differs, as does ``true`` from ``1``; the order of an object's
    members does not count.
    """
    return list(_changes("", was, now, DEPTH))


def text_diff(was: JsonText | None, now: JsonText | None) -> Sequence[Change]:
    """
    Return what differs between two JSON texts; ``None``: there was none.

    What cannot be parsed is compared as the text that it is.
    """
    return [] if was == now else json_diff(_value(was), _value(now))


def _value(text: JsonText | None) -> Any:
    if text is None:
        return ABSENT
    try:
        return json_value(text)
    except (ValueError, RecursionError):
        return text


def _changes(path: str, was: Any, now: Any, depth: int) -> Iterator[Change]:
    if _same(was, now, depth):
        return
    if depth and isinstance(was, dict) and isinstance(now, dict):
        for name in [*now, *(name for name in was if name not in now)]:
            yield from _changes(f"{path}/{_escaped(name)}", was.get(name, ABSENT), now.get(name, ABSENT), depth - 1)
    elif depth and isinstance(was, list) and isinstance(now, list):
        yield from _in_lists(path, was, now, depth - 1)
    else:
        yield Change(path=path, was=was, now=now)


def _in_lists(path: str, was: list[Any], now: list[Any], depth: int) -> Iterator[Change]:
    first = _alike(was, now, depth)
    last = _alike(was[first:][::-1], now[first:][::-1], depth)
    old, new = was[first : len(was) - last], now[first : len(now) - last]
    for at in range(max(len(old), len(new))):
        before = old[at] if at < len(old) else ABSENT
        after = new[at] if at < len(new) else ABSENT
        yield from _changes(f"{path}/{first + at}", before, after, depth)


def _alike(was: list[Any], now: list[Any], depth: int) -> int:
    """Return how many elements are the same at the beginning."""
    count = 0
    for before, after in zip(was, now, strict=False):
        if not _same(before, after, depth):
            break
        count += 1
    return count


def _same(was: Any, now: Any, depth: int) -> bool:
    if type(was) is not type(now):
        return False
    if depth and isinstance(was, dict):
        return was.keys() == now.keys() and all(_same(was[name], now[name], depth - 1) for name in was)
    if depth and isinstance(was, list):
        return len(was) == len(now) and all(map(_same, was, now, [depth - 1] * len(was)))
    return bool(was == now)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
