"""A handler: the user's function, known by a name and by its code."""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Final, Literal, get_args

from shared.app.answering import AnswerFunction, Asked, UnfitAnswer, answered, declared
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import Effect
from shared.core.errors import ConfigError, HandlerError
from shared.core.events import Answer
from shared.core.races import Rule

Function = Callable[[Any, Card | None], Decision | Sequence[Effect] | None]
"""
What a user writes, of an `Interaction`, a `CallResult` or a `Reminder`, and its card: plain, synchronous, and a
function of its two arguments alone.

It may be called again for the same click (after a crash), so it may not read a clock, draw random numbers or
call anybody: what is to happen, it returns.
"""


HANDLER_S: Final = 2.0
"""How long one handler may take."""

OnError = Literal["go_on", "park_card"]
"""
What follows when a handler fails. ``go_on``: later inputs of the card are decided. ``park_card``: they are kept, too,
until they are redriven in their order.
"""


ON_ERROR: Final = get_args(OnError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """
    A registered function.

    Attributes:
        name: Stable over restarts and machines: suspensions and decisions are filed under it.
        digest: SHA-256 of the function's code (hex), so that a decision names the code that made it.
        answer: What is answered at once: ready, or a function that makes it; ``None``: nothing.
        on_error: What a failure holds up: nothing, or its card.
        decides: Whether there is something to decide; without, it only answers, and nothing is recorded.
        rule: Whose clicks it decides, where not everybody's.
        lost: Decides what happens for clicks that lose by the rule: of the same name, without state.
    """

    name: str
    function: Function = field(repr=False)
    digest: str
    answer: Answer | AnswerFunction | None = None
    decides: bool = True
    on_error: OnError = "go_on"
    rule: Rule | None = None
    lost: "Handler | None" = None

    def answer_to(self, interaction: Interaction) -> Answer:
        """
        Return what to answer; may run user code.

        Raises:
            AnswerFailed: The function that makes the answer raised, or returned something else.
        """
        match self.answer:
            case None:
                return Answer()
            case Answer() as ready:
                return ready
            case function:
                asked: Asked = "link" if interaction.kind == "link_preview" else "click"
                return self._asked(function, interaction, asked)

    def _asked(self, function: AnswerFunction, interaction: Interaction, asked: Asked) -> Answer:
        try:
            value = function(interaction)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Not only Exception: a function that calls exit() must not end the process.
            raise AnswerFailed(f"{type(error).__name__} in the answer of {self.name}") from error
        try:
            return answered(value, rule=self.name, asked=asked)
        except UnfitAnswer as error:
            raise AnswerFailed(f"the answer of {self.name} is {error}") from error


class AnswerFailed(HandlerError):
    """The function that makes a handler's answer raised, or returned what cannot be answered."""


def make_handler(
    function: Function,
    *,
    name: str | None,
    answer: object = None,
    asked: Asked = "click",
    on_error: object = "go_on",
) -> Handler:
    """
    Return the handler of a function.

    Raises:
        ConfigError: It is no plain function, is asynchronous or a generator, or does not take (click, card); or its
            answer is none; or ``on_error`` is none of `OnError`.
    """
    if on_error not in ON_ERROR:
        raise ConfigError(f'on_error={on_error!r}: expected "go_on" or "park_card", as in on_error="park_card"')
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
    known = name or function.__qualname__
    ready = declared(answer, rule=known, asked=asked, where=where)
    digest = code_digest(function)
    stays: OnError = "park_card" if on_error == "park_card" else "go_on"
    return Handler(name=known, function=function, digest=digest, answer=ready, on_error=stays)


def make_answerer(function: AnswerFunction, *, name: str | None) -> Handler:
    """
    Return what answers links with a function, and decides nothing.

    Raises:
        ConfigError: It is no plain function of one argument.
    """
    if not inspect.isfunction(function):
        raise ConfigError(f"{function!r} cannot answer: expected a function, as in def title(link): …")
    known = name or function.__qualname__
    ready = declared(function, rule=known, asked="link", where=_where(function))
    return Handler(name=known, function=_nothing, digest=code_digest(function), answer=ready, decides=False)


def _nothing(link: Interaction, card: Card | None) -> None:
    """Decide nothing."""


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
