"""
Reading JSON objects without changing a byte of what is inside.

A callback carries other people's JSON: lone surrogates, ``1e400``, numbers of any length. The fast parser refuses
or rounds some of it, so an object is taken apart into the exact text of its members, and only the texts that we
understand are decoded. What the fast parser cannot take apart, the standard library's scanner can.
"""

import json
import re
from collections.abc import Mapping
from typing import Final, NoReturn

import msgspec

from shared.core.json_text import JsonText

Members = dict[str, msgspec.Raw]
"""The members of a JSON object: name to exact text. Of members with the same name the last one counts."""


class TooDeep(ValueError):
    """JSON whose nesting nobody could read: neither we nor a handler."""


_OBJECT: Final = msgspec.json.Decoder(Members)
_ENCODER: Final = msgspec.json.Encoder()
_STRING: Final = msgspec.json.Decoder(str)
_STRINGS: Final = msgspec.json.Decoder(tuple[str, ...])
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def utf8(text: bytes) -> bytes:
    """
    Return ``text`` as strict UTF-8; surrogates that were encoded one by one become JSON escapes of the same meaning.

    Raises:
        ValueError: Not UTF-8.
    """
    try:
        text.decode()
    except UnicodeDecodeError:
        loose = text.decode("utf-8", "surrogatepass")
        return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", loose).encode()
    return text


def members(text: bytes | msgspec.Raw) -> Members | None:
    """
    Take a JSON object apart; ``None`` of what begins as JSON of another type, whatever follows.

    Args:
        text: One JSON value in strict UTF-8 (see `utf8`).

    Raises:
        TooDeep: Nested more deeply than Python's own parser reads (some 950 levels).
        ValueError: Not JSON.
    """
    try:
        return _OBJECT.decode(text)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError):
        return _walk(bytes(text).decode())


def joined(found: Mapping[str, msgspec.Raw]) -> JsonText:
    """Put members together again: each exactly as it was, nothing between them."""
    return JsonText(written(found).decode())


def written(found: Mapping[str, msgspec.Raw]) -> bytes:
    """Put members together again, in UTF-8: see `joined`."""
    try:
        return _ENCODER.encode(found)
    except UnicodeEncodeError:
        return ("{" + ",".join(f"{json.dumps(name)}:{exact(text)}" for name, text in found.items()) + "}").encode()


def exact(text: msgspec.Raw) -> JsonText:
    """Return a member's text."""
    return JsonText(bytes(text).decode())


def string(text: msgspec.Raw | None) -> str | None:
    """Return the string that a member holds, fit for UTF-8; ``None`` if there is none or it is no string."""
    if text is None:
        return None
    try:
        return _STRING.decode(text)
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError:
        return repaired(json.loads(bytes(text)))


def strings(text: msgspec.Raw | None) -> tuple[str, ...] | None:
    """Return the strings that a member's list holds, fit for UTF-8; ``None`` if it is no list of strings."""
    if text is None:
        return None
    try:
        return _STRINGS.decode(text)
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError:
        parts = _SCANNER.decode(exact(text))
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            return None
        return tuple(map(repaired, parts))


def boolean(text: msgspec.Raw | None) -> bool | None:
    """Return the truth value that a member holds, if it is one."""
    return None if text is None else {b"true": True, b"false": False}.get(bytes(text))


def repaired(text: str) -> str:
    """Return ``text`` with lone surrogates, which UTF-8 cannot carry, replaced by U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


# Numbers are only measured, never converted: Python refuses to convert integers of more than 4,300 digits.
_SCANNER: Final = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse)


def _walk(text: str) -> Members | None:
    try:
        value, end = _SCANNER.raw_decode(text, _skip(text, 0))
    except RecursionError as error:
        raise TooDeep("nested too deeply") from error
    if _skip(text, end) != len(text):
        raise ValueError("text follows the JSON")
    return _cut(text, _skip(text, 0) + 1) if isinstance(value, dict) else None


def _cut(text: str, at: int) -> Members:
    """Cut the members out of an object that is known to be well-formed; ``at`` is behind its opening brace."""
    found: Members = {}
    at = _skip(text, at)
    while text[at] != "}":
        name, at = _SCANNER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)  # behind the colon
        _, end = _SCANNER.raw_decode(text, start)
        found[name] = msgspec.Raw(text[start:end])
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()
