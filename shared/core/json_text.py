"""
Free-form JSON travels as text.

A button's value, a form, a card, a handler's state: other people's JSON. It may hold what strict parsers
refuse or change (a lone surrogate, ``1e400``, thirty-digit integers, NUL), and a click carrying it is still an
honest click. So our records hold such JSON as a *string of JSON text*, byte for byte as received, and only
the standard library's parser, which accepts all of it, reads it back.
"""

import json
from typing import Annotated, Any, Final, NewType

import msgspec

JsonText = NewType("JsonText", str)
"""A string that holds one JSON value."""

EpochMs = Annotated[int, msgspec.Meta(description="milliseconds since 1970-01-01T00:00:00Z")]
"""A point in time, in milliseconds since the epoch, UTC."""

# Made once: json.dumps and json.loads would make a new one for each value, or look at more than there is.
_TEXT: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ESCAPED: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))
_READER: Final = json.JSONDecoder()


def json_text(value: Any) -> JsonText:
    """
    Return ``value`` as compact JSON text that UTF-8 can carry.

    Args:
        value: Anything of dict, list, str, int, float, bool, None. Lone surrogates are written as escapes.

    Raises:
        ValueError: The value cannot be written as JSON: a NaN or an infinity, a cycle, an object of another type.
    """
    try:
        text = _TEXT.encode(value)
        if text.isascii() or text.encode():
            return JsonText(text)
    except UnicodeEncodeError:
        return JsonText(_ESCAPED.encode(value))
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return JsonText(text)


def json_value(text: JsonText) -> Any:
    """Return the value that ``text`` holds, read by the standard library's parser; each call returns fresh objects."""
    return _READER.decode(text)
