"""The user's own functions that effects call: asynchronous, and the only user code that may do anything."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from shared.core.errors import ConfigError

CallFunction = Callable[..., Awaitable[Any]]
"""
``async def publish(args, *, idempotency_key)``: does the work and returns JSON of at most 64 KB.

It is called at least once: after a crash, or a failure, again, with the same key.
"""

TIMEOUT_S: Final = 10.0
LONGEST_S: Final = 3600.0
ATTEMPTS: Final = 3
MOST_ATTEMPTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredCall:
    """
    A function that effects may call.

    Attributes:
        timeout_s: How long one attempt may take.
        attempts: How often it is tried before it is given up.
    """

    name: str
    function: CallFunction = field(repr=False)
    timeout_s: float
    attempts: int

    def __str__(self) -> str:
        """Name it as it was written."""
        return f'call("{self.name}")'


def make_call(function: CallFunction, *, name: str, timeout_s: Any, attempts: Any) -> RegisteredCall:
    """
    Return what effects may call.

    Raises:
        ConfigError: It is no asynchronous function that takes the arguments and the key, or a bound is none.
    """
    where = f'call("{name}")'
    if not _is_number(timeout_s) or not 0 < timeout_s <= LONGEST_S:
        raise ConfigError(f"{where}: timeout_s= is no time up to {LONGEST_S:,.0f} s: expected seconds, as timeout_s=10")
    if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= MOST_ATTEMPTS:
        raise ConfigError(f"{where}: attempts= is no number from 1 to {MOST_ATTEMPTS}, as in attempts=3")
    if not inspect.isfunction(function) or not inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise ConfigError(
            f"{where}: {getattr(function, '__qualname__', function)!r} is not asynchronous: expected "
            "async def publish(args, *, idempotency_key): …"
        )
    try:
        inspect.signature(function).bind(None, idempotency_key="")
    except TypeError:
        raise ConfigError(
            f"{where}: {function.__qualname__} takes {inspect.signature(function)}: expected the arguments and the "
            f"key, as in async def {function.__name__}(args, *, idempotency_key)"
        ) from None
    return RegisteredCall(name=name, function=function, timeout_s=float(timeout_s), attempts=attempts)


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)
