"""How a part of a decision was and is, as it may stand in a report (pure)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.core.json_diff import ABSENT, Change, json_diff, text_diff
from shared.core.json_text import JsonText, json_text

PARTS: Final = 12
"""How many parts of one value are told at most."""

SHOWN_CHARS: Final = 120
"""How much of a part's value is shown at most."""

Part = tuple[str, str, str]
"""A part's path (a JSON Pointer), how it was, how it is: its JSON, or of what type it is."""


_TYPES: Final[Mapping[type, str]] = {
    dict: "object", str: "text", int: "number", float: "number", bool: "true or false", type(None): "null",
}  # fmt: skip


def parts(was: JsonText | None, now: JsonText | None, *, with_values: bool) -> list[Part]:
    """
    Return the parts in which two JSON texts differ, the first ones of many.

    Args:
        was: ``None``: there is nothing; so for `now`.
        with_values: Show values, which people may have typed; otherwise only of what type they are.
    """
    return _told(text_diff(was, now), with_values=with_values)


def parts_of(was: Any, now: Any, *, with_values: bool) -> list[Part]:
    """Return the parts in which two JSON values differ; see `parts`."""
    return _told(json_diff(was, now), with_values=with_values)


def _told(changes: Sequence[Change], *, with_values: bool) -> list[Part]:
    told = [
        (one.path or "(all)", _shown(one.was, with_values=with_values), _shown(one.now, with_values=with_values))
        for one in changes[:PARTS]
    ]
    return [*told, ("…", "", "")] if len(changes) > PARTS else told


def _shown(value: Any, *, with_values: bool) -> str:
    """Return a part as it may stand in a report."""
    if value is ABSENT:
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
