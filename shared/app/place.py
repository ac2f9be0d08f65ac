"""Where a user's code stands: for lines that ask somebody to mend it."""

import inspect
import traceback
from collections.abc import Callable
from typing import Any


def place_of(function: Callable[..., Any], error: BaseException | None = None) -> str:
    """
    Return ``file:line`` of a function; where it raised, the line of its file that did.

    Of what has no code of its own (a partial, an object that can be called) that is its type's name.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return f"{type(function).__module__}.{type(function).__qualname__}"
    line: int = code.co_firstlineno
    for frame, number in traceback.walk_tb(None if error is None else error.__traceback__):
        if frame.f_code.co_filename == code.co_filename:
            line = number
    return f"{code.co_filename}:{line}"
