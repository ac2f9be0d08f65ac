"""What user code returned, with its types checked, as text that UTF-8 can carry."""

import json
import re
from typing import Any, Final, NoReturn

import msgspec

from shared.core.effects import CardLike
from shared.core.json_text import JsonText, json_text

NAME_CHARS: Final = 128
"""Names of calls and keys of reminders become parts of the ledger's keys."""

RECEIVER_CHARS: Final = 254
"""Of an e-mail address, the longest name of anybody; receivers become parts of the ledger's keys."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def check_id(text: str, example: str = "om_…") -> None:
    """
    Return if this may be the platform's id of a message or a chat.

    Raises:
        ValueError: It cannot be. The text does not repeat it.
    """
    if not _ID.fullmatch(text):
        raise ValueError(f"an id that is none: expected one as in '{example}'")


def check_receiver(text: str) -> None:
    """
    Return if this may be whom or where a message goes: an id or an e-mail address.

    Raises:
        ValueError: It cannot be. The text does not repeat it.
    """
    if not 0 < len(text) <= RECEIVER_CHARS or not text.isprintable():
        raise ValueError(f"a receiver that is no text of 1 to {RECEIVER_CHARS} printable characters, as in 'ou_…'")


def utf8(given: Any) -> Any:
    """
    Return what was given with lone surrogates, in texts and keys at any depth, replaced by U+FFFD.

    Half a character, pasted or cut, is what a person may have typed: shown so rather than refused.

    Raises:
        RecursionError: It holds itself, or is too deep. An object's own code may raise anything else.
    """
    match given:
        case str():
            text = str.__str__(given)  # of a class of its own: the text, and none of its methods
            # UTF-16 knows halves, and joins two that belong together.
            return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case dict():
            return {utf8(name): utf8(part) for name, part in given.items()}
        case list() | tuple():
            return [utf8(part) for part in given]
        case _:
            return given


def object_text(given: CardLike, what: str = "a card", example: str = '{"schema": "2.0", "body": …}') -> JsonText:
    """
    Return a JSON object as text.

    Args:
        given: The object, or its text.
        what: What it is, and `example` one, for the error.

    Raises:
        ValueError: It is no JSON object. The text names what is wrong, and nothing of the content.
    """
    text = JsonText(utf8(given)) if isinstance(given, str) else json_text(given)
    check_object(text, what, example)
    return text


def check_object(text: JsonText, what: str = "a card", example: str = '{"schema": "2.0", "body": …}') -> None:
    """
    Return if this text, which UTF-8 can carry, is that of a JSON object; see `object_text`.

    Raises:
        ValueError: It is not.
    """
    if _is_plain_object(text):
        return
    try:
        decoded = _STRICT.decode(text)
    except _Constant as constant:
        raise ValueError(f"{what} that holds {constant}, which JSON does not know") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{what} whose text is no JSON ({place}): expected {what}, as in {example}") from None
    if not isinstance(decoded, dict):
        raise ValueError(f"{what} that is no JSON object: expected {what}, as in {example}")  # noqa: TRY004 - see Raises


def _is_plain_object(text: JsonText) -> bool:
    """Say whether the fast parser reads an object: then everybody does. What it does not read, others may."""
    try:
        _PLAIN.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_json(text: JsonText) -> bool:
    """Say whether a text holds one JSON value, as everybody understands JSON: no NaN, no infinity."""
    try:
        _STRICT.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


class _Constant(ValueError):
    """NaN or an infinity."""


def _no_constant(constant: str) -> NoReturn:
    raise _Constant(constant)


_PLAIN: Final = msgspec.json.Decoder(dict[str, Any])
_STRICT: Final = json.JSONDecoder(parse_constant=_no_constant)
