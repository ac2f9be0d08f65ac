"""
Lines that are written for every callback: declared, so that writing one costs a few microseconds.

A declared line says what it may hold: names, numbers and texts, and no member that redaction would hide. What is left
to look for is a secret among its texts; a line in which there may be one goes the way of all others.
"""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

import msgspec
import structlog

from shared.observability.redact import is_suspect
from shared.observability.sink import Sink

_ENCODER: Final = msgspec.json.Encoder()
_log = structlog.get_logger("cardwire")


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    """
    What a line says; a subclass for each event, whose tag is the event's name and whose members are optional.

    Attributes:
        level: How important it is.
    """

    level: Literal["info", "warning"] = "info"


class Often:
    """Where declared lines go: with all others, unless a process writes JSON."""

    def __init__(self) -> None:
        self._sink: Sink | None = None

    def use(self, sink: Sink | None) -> None:
        """Write JSON there from now on."""
        self._sink = sink

    def write(self, line: Line) -> None:
        """Write a line."""
        if self._sink is None or line.level != "info" or not self._wrote(line, self._sink):
            told = {name: value for name, value in msgspec.structs.asdict(line).items() if value is not None}
            (_log.info if told.pop("level") == "info" else _log.warning)(line.__struct_config__.tag, **told)

    def _wrote(self, line: Line, sink: Sink) -> bool:
        """Write a line as it is, unless it takes a closer look."""
        try:
            text = _ENCODER.encode(line).decode()
        except UnicodeEncodeError:  # parts of a header that is no text
            return False
        if is_suspect(text):
            return False
        sink.write(f'{text[:-1]},"level":"info","at":"{_now()}"}}\n')
        return True


def _now() -> str:
    second, us = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second(second)}.{us:06}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


often: Final = Often()
"""The one place of this process."""
