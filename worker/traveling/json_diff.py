"""What differs between two JSON values: the paths of the parts, and how each of them was and is (pure)."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from shared.core.json_text import JsonText, json_text, json_value
from worker.traveling.card import alike

PARTS: Final = 12
"""How many parts of one value are told at most."""

SHOWN_CHARS: Final = 120
"""How much of a part's value is shown at most."""

Part = tuple[str, str, str]
"""A part's path, how it was, how it is: its JSON, or of what type it is."""


_TYPES: Final[Mapping[type, str]] = {
    dict: "object", str: "text", int: "number", float: "number", bool: "true or false", type(None): "null",
}  # fmt: skip


class _Absent:
    """Stands for a part that is not there."""


_ABSENT: Final = _Absent()


def parts(was: JsonText | None, now: JsonText | None, *, with_values: bool) -> list[Part]:
    """
    Return the parts in which two JSON texts differ, the first ones of many.

    Args:
        was: ``None``: there is nothing; so for `now`.
        with_values: Show values, which people may have typed; otherwise only of what type they are.
    """
    try:
        return parts_of(_read(was), _read(now), with_values=with_values)
    except (ValueError, RecursionError):
        return [("(all)", "JSON that nobody can read", "other JSON")]


def parts_of(was: Any, now: Any, *, with_values: bool) -> list[Part]:
    """
    Return the parts in which two JSON values differ; see `parts`.

    Raises:
        RecursionError: They are too deep.
    """
    found = list(islice(_differing(was, now, ""), PARTS + 1))
    told = [
        (path or "(all)", _shown(one, with_values=with_values), _shown(other, with_values=with_values))
        for path, one, other in found[:PARTS]
    ]
    return [*told, ("…", "", "")] if len(found) > PARTS else told


def _shown(value: Any, *, with_values: bool) -> str:
    """Return a part as it may stand in a report."""
    if isinstance(value, _Absent):
        return "absent"
    if with_values:
        text = _text(value)
        return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return _TYPES[type(value)]


def _text(value: Any) -> str:
    try:
        return json_text(value)
    except ValueError:
        return str(value)  # a number that no float holds


def _read(text: JsonText | None) -> Any:
    return _ABSENT if text is None else json_value(text)


def _differing(was: Any, now: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    match was, now:
        case dict(), dict():
            for name in [*was, *(name for name in now if name not in was)]:
                inner = f"{path}.{name}" if path else str(name)
                yield from _differing(was.get(name, _ABSENT), now.get(name, _ABSENT), inner)
        case list(), list():
            for at in range(max(len(was), len(now))):
                yield from _differing(_at(was, at), _at(now, at), f"{path}[{at}]")
        case _ if not alike(was, now):
            yield path, was, now
        case _:
            return


def _at(values: list[Any], at: int) -> Any:
    return values[at] if at < len(values) else _ABSENT
