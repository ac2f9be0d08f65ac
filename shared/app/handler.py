"""A handler: the user's function, known by a name and by its code."""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from shared.app.interaction import Interaction
from shared.core.cards import Toast
from shared.core.decision import Card, Decision
from shared.core.effects import Effect
from shared.core.errors import ConfigError

Function = Callable[[Interaction, Card | None], Decision | Sequence[Effect] | None]
"""
What a user writes: plain, synchronous, and a function of its two arguments alone.

It may be called again for the same click (after a crash), so it may not read a clock, draw random numbers or
call anybody: what is to happen, it returns.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """
    A registered function.

    Attributes:
        name: Stable over restarts and machines: suspensions and decisions are filed under it.
        digest: SHA-256 of the function's code (hex), so that a decision names the code that made it.
        answer: The toast that the person who clicked sees at once.
    """

    name: str
    function: Function = field(repr=False)
    digest: str
    answer: Toast | None = None


def make_handler(function: Function, *, name: str | None, answer: Toast | None) -> Handler:
    """
    Return the handler of a function.

    Raises:
        ConfigError: It is no plain function, is asynchronous or a generator, or does not take (click, card).
    """
    if not inspect.isfunction(function):
        raise ConfigError(f"{function!r} cannot be a handler: expected a function, as in def follow_up(click, card): …")
    where = _where(function)
    written = inspect.unwrap(function)
    if inspect.iscoroutinefunction(written):
        raise ConfigError(
            f"{where} is async: handlers decide and return effects, the worker performs them; write def, not async def"
        )
    if inspect.isgeneratorfunction(written) or inspect.isasyncgenfunction(written):
        raise ConfigError(
            f"{where} yields: expected a handler that returns a list of effects, as in return [SendText()]"
        )
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise ConfigError(
            f"{where} takes {inspect.signature(function)}: expected two arguments, "
            f"as in def {function.__name__}(click: Interaction, card: Card | None)"
        ) from None
    if answer is not None and not isinstance(answer, Toast):
        raise ConfigError(
            f'{where}: answer= is of type {type(answer).__name__}: expected a Toast, as in Toast.info("正在跟进")'
        )
    return Handler(name=name or function.__qualname__, function=function, digest=code_digest(function), answer=answer)


def code_digest(function: Callable[..., Any]) -> str:
    """Return the SHA-256 of a function's source text, or of its compiled code where there is no source."""
    written = inspect.unwrap(function)
    try:
        code = inspect.getsource(written)
    except (OSError, TypeError):
        code = _compiled(written.__code__)
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _compiled(code: CodeType) -> str:
    consts = [_const(const) for const in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, code.co_freevars, consts))


def _const(const: object) -> str:
    if isinstance(const, CodeType):
        return _compiled(const)
    # The order of a set differs from process to process.
    return repr(sorted(map(repr, const))) if isinstance(const, frozenset) else repr(const)


def _where(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}: {function.__qualname__}"
