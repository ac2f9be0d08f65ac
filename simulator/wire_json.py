"""JSON of people and of programs: fast, and unbroken by what fast parsers and writers refuse."""

import json
from typing import Any

import orjson

from shared.core.json_text import json_text


def any_json(text: str | bytes) -> Any:
    """
    Return the value of any JSON text, also of what fast parsers refuse (lone surrogates, huge numbers).

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _slowly(text)


def _slowly(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def json_bytes(value: object) -> bytes:
    """
    Return compact JSON, also of what fast writers refuse (lone surrogates, huge whole numbers).

    Raises:
        ValueError: The value cannot be written as JSON.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json_text(value).encode()
