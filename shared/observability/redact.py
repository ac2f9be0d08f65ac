"""
What may stand in a log line.

Log lines are copied to places that nobody guards. So a line holds names, ids, numbers and our own words; a value
is shown only when it is known to be harmless. Four nets, each of which catches what slips through the others:

- by type: only plain values are shown, of anything else only the name of its type; so no repr can tell;
- by key: ``token``, ``signature`` and their like are hidden whatever they hold, bodies and cards too;
- by shape: what looks like one of the platform's tokens, a password in an address or in a query is cut out of
  any text;
- of an exception, only ours and those of the operating system say more than their type and place: a message of
  somebody else's library may quote parameters, and one of a handler may quote what a person typed.
"""

import re
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Final

from shared.core.errors import CardwireError
from shared.core.secret import HIDDEN

_SECRET_KEYS: Final = re.compile(
    r"secret|token|signature|password|passwd|authorization|cookie|encrypt|ticket|credential|nonce|access_key",
    re.IGNORECASE,
)
_CONTENT_KEYS: Final = frozenset(
    {"body", "callback", "card", "content", "form_value", "headers", "input_value", "payload", "raw", "state", "value"}
)
_SHAPES: Final = (
    # user:password@ in an address; the lazy scheme keeps what stands before it.
    (re.compile(r"(?<=://)[^\s/@]+@"), f"{HIDDEN}@"),
    # The long connection's address carries its credentials in the query.
    (re.compile(r"(?i)([?&;](?:[\w.-]*(?:token|key|ticket|secret|password|signature))=)[^&\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic) [\w.~+/=-]+"), rf"\1 {HIDDEN}"),
    # Access tokens (a-, t-, u-) and card update tokens (c-).
    (re.compile(r"\b[actu]-[0-9A-Za-z_]{16,}"), HIDDEN),
)
_TOKEN: Final = re.compile(r"-(?<=\b[actu]-)")  # its one letter last: looked for as a letter, not as a pattern
_EXC_INFO: Final = "exc_info"
_EXCEPTION: Final = "exception"
_MAX_FRAMES: Final = 12
_MAX_DEPTH: Final = 6

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | BaseException | bool | None


def redact(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the line with only what may be seen: a structlog processor, to stand before the renderer."""
    error = line.pop(_EXC_INFO, None)
    if line.get("logger") == "asyncio":
        # Below its first line stand reprs of tasks and of what they raised.
        line["event"] = str(line.get("event")).partition("\n")[0]
    shown = {key: _of_key(key, value, 0) for key, value in line.items()}
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        shown[_EXCEPTION] = [_text(told) for told in _story(error)]
    return shown


def _of_key(key: str, value: Any, depth: int) -> Any:
    if key in _CONTENT_KEYS:
        return HIDDEN
    # A count or a flag of tokens is no token.
    if _names_a_secret(key) and not (value is None or isinstance(value, bool | int | float)):
        return HIDDEN
    return _shown(value, depth)


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    return _SECRET_KEYS.search(key) is not None


def _shown(value: Any, depth: int) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _text(value)
        case Mapping() if depth < _MAX_DEPTH:
            return {_text(str(key)): _of_key(str(key), inner, depth + 1) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset() if depth < _MAX_DEPTH:
            return [_shown(inner, depth + 1) for inner in value]
        case _:
            return f"<{type(value).__name__}>"


def is_suspect(text: str) -> bool:
    """Say whether a text may hold what is cut out of texts; most hold nothing of the kind, and this says so quickly."""
    folded = text.casefold()
    return (
        "://" in text
        or "?" in text
        or "&" in text
        or ";" in text
        or "bearer " in folded
        or "basic " in folded
        or _TOKEN.search(text) is not None
    )


def _text(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # a header's bytes that are no text cannot be written
    if is_suspect(text):
        for shape, instead in _SHAPES:
            text = shape.sub(instead, text)
    return text


def _story(error: BaseException) -> Iterator[str]:
    """Return the exception and what caused it, each as its type, what may be said, and where."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield f"{type(current).__name__}: {current}" if _may_speak(current) else type(current).__name__
        for frame in traceback.extract_tb(current.__traceback__)[-_MAX_FRAMES:]:
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _may_speak(error: BaseException) -> bool:
    return isinstance(error, CardwireError | OSError) or type(error).__module__.partition(".")[0] == "aiokafka"
