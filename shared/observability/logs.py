"""Log lines: JSON for machines, colours for a terminal, one stream for our lines and other libraries'."""

import logging
import logging.config
import sys
from collections.abc import Sequence
from typing import Final, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.observability.batches import Batches
from shared.observability.often import often
from shared.observability.redact import redact

Level = Literal["debug", "info", "warning", "error"]
Style = Literal["auto", "json", "text"]

_LEVELS: Final = logging.getLevelNamesMapping()


def configure_logs(
    level: str = "info", style: str = "auto", *, stream: TextIO | None = None, in_batches: bool = False
) -> None:
    """
    Set up the log lines of this process; called once, by whoever starts it.

    Args:
        level: The least important lines that are written; of other libraries never less than warnings.
        style: ``auto`` is text on a terminal, else JSON.
        stream: Where to; standard error, so that a command's own output stays clean.
        in_batches: For a process that writes a JSON line for each of very many callbacks: see
            `shared.observability.batches`.
    """
    out = stream or sys.stderr
    as_text = style == "text" or (style == "auto" and out.isatty())
    batches = Batches(out) if in_batches and not as_text else None
    often.use(batches if _LEVELS[level.upper()] <= logging.INFO else None)
    out = cast("TextIO", batches) if batches is not None else out
    shared: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _take_exception,
        redact,
    )
    render: Processor = _text(structlog.dev.ConsoleRenderer(colors=out.isatty())) if as_text else _json
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _adopt_other_libraries(level, [*shared], render, out)


def _take_exception(_logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """Turn ``exc_info=True`` into the exception itself, while it is still being handled."""
    if line.get("exc_info") is True or (method == "exception" and "exc_info" not in line):
        line["exc_info"] = sys.exception()
    return line


def _text(console: structlog.dev.ConsoleRenderer) -> Processor:
    def render(logger: WrappedLogger, method: str, line: EventDict) -> str:
        if isinstance(frames := line.get("exception"), list):  # The console writes texts only.
            line["exception"] = "\n".join(map(str, frames))
        return console(logger, method, line)

    return render


def _json(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    return orjson.dumps(line, default=lambda value: f"<{type(value).__name__}>").decode()


def _adopt_other_libraries(level: str, shared: list[Processor], render: Processor, out: TextIO) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    least = max(_LEVELS[level.upper()], logging.WARNING)
    # Not even if a library's own logger is turned up: what they say to debug themselves quotes requests and rows.
    handler.setLevel(least)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(least)
