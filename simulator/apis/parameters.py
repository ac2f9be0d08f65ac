"""Members of a CardKit call, read or refused with 10002: many are JSON as a string."""

from typing import Any

from simulator.cards import TOO_DEEP, is_too_deep
from simulator.refusals import Refused
from simulator.wire_json import any_json


def text_in(value: object, name: str, most: int) -> Any:
    """Return a member that is a string of so many characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise Refused(10002, f"{name} is a string of 1 to {most} characters")
    return value


def json_in(value: object, name: str) -> Any:
    """Return what a member holds: as JSON text, or as it is, where it stands inside a text already."""
    if not isinstance(value, str):
        return value
    try:
        found = any_json(value)
    except (ValueError, RecursionError) as error:
        raise Refused(10002, f"{name} is not JSON") from error
    if is_too_deep(found):
        raise Refused(10002, f"{name} is {TOO_DEEP}")
    return found


def object_in(value: object, name: str) -> dict[str, Any]:
    """Return a member that is a JSON object, or text of one."""
    found = json_in(value, name)
    if not isinstance(found, dict):
        raise Refused(10002, f"{name} is a JSON object")
    return found


def array_in(value: object, name: str) -> list[Any]:
    """Return a member that is a JSON array."""
    if not isinstance(value, list):
        raise Refused(10002, f"{name} is an array")
    return value
