"""What is wrong with an effect that comes back, or that sets a reminder: told when it is decided, not days later."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, assert_never

from shared.app.app import NAME_CHARS, App
from shared.app.handler import Handler
from shared.app.valid import check_id
from shared.core.effects import (
    Call,
    CallApi,
    CancelReminder,
    Effect,
    FetchChat,
    FetchMessage,
    Remind,
    Returning,
    Timing,
)
from shared.core.effects.reminders import LONGEST
from shared.core.errors import HandlerError
from shared.core.json_text import JsonText, json_value

Errand = Returning | Timing

_PATH: Final = re.compile(r"/open-apis/[!-\"$->@-~]{1,1000}")
"""Printable ASCII without ``#`` and ``?``."""


def check_errand(effect: Errand) -> None:
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
    if not _PATH.fullmatch(effect.path) or ".." in effect.path.split("/"):
        raise ValueError("a path that is none: expected one as in '/open-apis/im/v1/chats', and query= beside it")
    if effect.body is not None:
        _check_json("body", effect.body)
    if effect.name is not None:
        _check_name(effect.name)


def check_known(app: App, handler: Handler, effects: Iterable[Effect]) -> None:
    """
    Return if somebody is there for everything that these effects call or bring back.

    Raises:
        HandlerError: Nobody is: a misspelt name would do nothing, silently, days later.
    """
    for effect in effects:
        if (missing := _missing(app, effect)) is not None:
            raise HandlerError(f"{handler.name} returned {type(effect).__name__} that nobody takes: {missing}")


def _missing(app: App, effect: Effect) -> str | None:
    match effect:
        case Call(name=name):
            return None if app.registered_call(name) else _expected("call", name)
        case FetchChat(name=name) | FetchMessage(name=name):
            return None if app.has_result(name) else _expected("on_result", name)
        case CallApi(name=str(name)):
            return None if app.has_result(name) else _expected("on_result", name)
        case Remind(key=key):
            return None if app.has_reminder(key) else _expected("on_reminder", key)
        case _:
            return None


def _expected(decorator: str, name: str) -> str:
    return f'expected one under @app.{decorator}("{name}")'


def _check_name(name: str, what: str = "a name") -> None:
    if not 0 < len(name) <= NAME_CHARS or not name.isprintable():
        raise ValueError(f"{what} that is no text of 1 to {NAME_CHARS} printable characters")


def _check_json(field: str, text: JsonText) -> None:
    try:
        json_value(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{field} that are no JSON") from None
