"""
From what a handlers module declares as its answer to what is answered and recorded.

A declared answer is checked where it is declared. One that a function returns is checked when it is there: what cannot
be an answer raises, and the caller is answered with nothing instead.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

import msgspec

from shared.app.interaction import Interaction
from shared.app.valid import object_text, utf8
from shared.core.answers import AnswerValue, CardAnswer, CustomAnswer, Inline, Preview
from shared.core.cards import Toast
from shared.core.errors import ConfigError
from shared.core.events import Answer

AnswerFunction = Callable[[Interaction], AnswerValue | None]
"""Chooses the answer of a click or a link in a fraction of a second: pure, like handlers; ``None`` says nothing."""

Asked = Literal["click", "link"]
"""What is answered: the two take different answers."""

STATUSES: Final = frozenset({200, *range(400, 600)})
"""What a custom answer may be sent with: the platform follows no redirections, and 204 has no body."""

_TAKEN: Final[dict[Asked, tuple[type[AnswerValue], ...]]] = {
    "click": (Toast, CardAnswer, CustomAnswer),
    "link": (Preview, CustomAnswer),
}
_EXPECTED: Final[dict[Asked, str]] = {
    "click": 'expected a Toast, CardAnswer or CustomAnswer, as in Toast.info("正在跟进")',
    "link": 'expected a Preview or CustomAnswer, as in Preview("告警详情")',
}

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class UnfitAnswer(ValueError):
    """That cannot be answered. The text says why, and nothing that a person typed."""


def declared(answer: object, *, rule: str, asked: Asked, where: str) -> Answer | AnswerFunction | None:
    """
    Return an ``answer=`` as it is kept: ready, or the function that makes it.

    Args:
        rule: Whose answer it is.
        where: Names the handler, for the error.

    Raises:
        ConfigError: It is neither an answer nor a function that may return one.
    """
    if answer is None:
        return None
    if inspect.isfunction(answer) or inspect.ismethod(answer):
        _check_function(answer, where)
        return answer
    try:
        return answered(answer, rule=rule, asked=asked)
    except UnfitAnswer as error:
        raise ConfigError(f"{where}: answer= is {error}") from None


def answered(value: object, *, rule: str, asked: Asked) -> Answer:
    """
    Return what is answered and recorded; its texts are checked, and fit for UTF-8.

    Raises:
        UnfitAnswer: It is no answer to what was asked.
    """
    if value is not None and type(value) not in _TAKEN[asked]:
        if inspect.iscoroutine(value):
            value.close()
        raise UnfitAnswer(f"of type {type(value).__name__}: {_EXPECTED[asked]}")
    try:
        return _made(value, rule)
    except (ValueError, TypeError, RecursionError) as error:
        # msgspec names the member and the types, the JSON parser the position: neither repeats what was given.
        raise UnfitAnswer(f"{type(value).__name__} with {error}") from error


def _made(value: Any, rule: str) -> Answer:
    match value:
        case Toast():
            return Answer(rule=rule, toast=_checked(value))
        case CardAnswer(card=card, toast=toast):
            return Answer(rule=rule, card=object_text(card), toast=None if toast is None else _checked(toast, Toast))
        case CustomAnswer(status=status):
            if type(status) is not int or status not in STATUSES:
                raise ValueError("a status that is not sent: expected 200, or 400 to 599")
            body = object_text(value.body, "a body", '{"content": "hello"}')
            return Answer(rule=rule, custom=CustomAnswer(status, body))
        case Preview():
            return _previewed(value, rule)
        case _:
            return Answer(rule=rule)


def _previewed(preview: Preview, rule: str) -> Answer:
    # Through the decoder, which takes the parts apart and knows the languages.
    parts = {"title": preview.title, "i18n_title": dict(preview.i18n), "image_key": preview.image_key}
    url = None if preview.url is None else msgspec.structs.asdict(preview.url)
    inline = msgspec.convert(utf8({**parts, "url": url}), Inline)
    card = None if preview.card is None else object_text(preview.card)
    return Answer(rule=rule, inline=None if inline == Inline() else inline, card=card)


def _checked(value: _Struct, of: type[_Struct] | None = None) -> _Struct:
    kind = type(value) if of is None else of
    if type(value) is not kind:
        raise ValueError(f"a {type(value).__name__} in place of a {kind.__name__}")
    return msgspec.convert(utf8(msgspec.structs.asdict(value)), kind)


def _check_function(function: Callable[..., Any], where: str) -> None:
    written = inspect.unwrap(function)
    if inspect.iscoroutinefunction(written) or inspect.isgeneratorfunction(written):
        raise ConfigError(f"{where}: answer= is asynchronous or yields: expected a function that returns the answer")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise ConfigError(
            f"{where}: answer= takes {inspect.signature(function)}: expected one argument, "
            f"as in def {getattr(function, '__name__', 'answer')}(click: Interaction)"
        ) from None
