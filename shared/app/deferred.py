"""What is wrong with an effect that comes back, or that sets a reminder."""

import re
from datetime import timedelta
from typing import Final, assert_never
from urllib.parse import unquote

from shared.app.valid import NAME_CHARS, check_id, is_json
from shared.core.effects import (
    Call,
    CallApi,
    CancelReminder,
    FetchChat,
    FetchMessage,
    Remind,
    Returning,
    Timing,
)
from shared.core.effects.reminders import LONGEST
from shared.core.json_text import JsonText

Deferred = Returning | Timing
"""What a handler has done or asked later, and hears of then."""

_PATH: Final = re.compile(r"/open-apis/[!-\"$->@-~]{1,1000}")
"""Printable ASCII without ``#`` and ``?``."""

_SEPARATOR: Final = re.compile(r"[/\\]")
"""What some take for one, too."""


def check_deferred(effect: Deferred) -> None:
    """
    Return if an effect, whose types are checked, can be done.

    Raises:
        ValueError: It cannot. The text names the field, and does not repeat it.
    """
    match effect:
        case Call(name=name, args=args):
            _check_name(name)
            _check_json("args", args)
        case FetchChat(chat_id=chat_id, name=name):
            _check_name(name)
            check_id(chat_id or "oc_", "oc_…")
        case FetchMessage(message_id=message_id, name=name):
            _check_name(name)
            check_id(message_id or "om_")
        case CallApi():
            _check_api(effect)
        case Remind(after=after, key=key):
            _check_name(key, "a key")
            if not timedelta() <= after <= LONGEST:
                raise ValueError(f"a time that is not from 0 s to {LONGEST.days} days: expected timedelta(hours=1)")
        case CancelReminder(key=key):
            _check_name(key, "a key")
        case _ as unreachable:
            assert_never(unreachable)


def _check_api(effect: CallApi) -> None:
    if any(part in {".", ".."} for part in _SEPARATOR.split(unquote(effect.path))):
        raise ValueError("a path with a part '.' or '..', percent-encoded or not: expected the path that is meant")
    if not _PATH.fullmatch(effect.path):
        raise ValueError("a path that is none: expected one as in '/open-apis/im/v1/chats', and query= beside it")
    if effect.body is not None:
        _check_json("body", effect.body)
    if effect.name is not None:
        _check_name(effect.name)


def _check_name(name: str, what: str = "a name") -> None:
    if not 0 < len(name) <= NAME_CHARS or not name.isprintable():
        raise ValueError(f"{what} that is no text of 1 to {NAME_CHARS} printable characters")


def _check_json(field: str, text: JsonText) -> None:
    if not is_json(text):
        raise ValueError(f"{field} that are no JSON")
