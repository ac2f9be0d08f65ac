"""Log lines: JSON for machines, colours for a terminal, one stream for our lines and other libraries'."""

import logging
import logging.config
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.observability.often import often
from shared.observability.redact import redact
from shared.observability.sink import Sink

Level = Literal["debug", "info", "warning", "error"]
Style = Literal["auto", "json", "text"]

_LEVELS: Final = logging.getLevelNamesMapping()


class _Logger:
    """Hands rendered lines to the sink, by what structlog calls the levels."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def __call__(self, *_: object) -> "_Logger":
        """Be the logger of whoever asks for one."""
        return self

    def info(self, line: str) -> None:
        """Write a line soon."""
        self.sink.write(f"{line}\n")

    debug = info

    def warning(self, line: str) -> None:
        """Write a line at once: it may be the last that is heard of the process."""
        self.sink.write(f"{line}\n", is_urgent=True)

    error = critical = warning


class _Handler(logging.Handler):
    """Hands the lines of other libraries to the sink."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line at once."""
        try:
            self._sink.write(f"{self.format(record)}\n", is_urgent=True)
        except Exception:  # noqa: BLE001 -- as the standard library's own handlers
            self.handleError(record)


def configure_logs(level: str = "info", style: str = "auto", *, stream: TextIO | None = None) -> None:
    """
    Set up the log lines of this process; called once, by whoever starts it.

    Nobody who writes a line ever waits for the stream or meets its errors: see `shared.observability.sink`.

    Args:
        level: The least important lines that are written; of other libraries never less than warnings.
        style: ``auto`` is text on a terminal, else JSON.
        stream: Where to; standard error, so that a command's own output stays clean.
    """
    out = stream or sys.stderr
    as_text = style == "text" or (style == "auto" and out.isatty())
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")
    shared: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        stamp,
        _take_exception,
        redact,
    )
    render: Processor = _text(structlog.dev.ConsoleRenderer(colors=out.isatty())) if as_text else _json

    def lost_line(lines: int) -> str:
        line: EventDict = {"event": "log_lines_lost", "lines": lines, "level": "warning"}
        return str(render(None, "warning", stamp(None, "warning", line))) + "\n"

    if (before := _sink()) is not None:
        before.close()
    sink = Sink(out, lost_line=lost_line)
    often.use(sink if not as_text and _LEVELS[level.upper()] <= logging.INFO else None)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=_Logger(sink),
        cache_logger_on_first_use=False,
    )
    _adopt_other_libraries(level, [*shared], render, sink)


def release_logs() -> None:
    """Write what was said so far, then leave the stream alone: this process's log lines are its embedder's again."""
    if (sink := _sink()) is None:
        return
    sink.close()
    often.use(None)
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Handler)]
    root.setLevel(logging.WARNING)


def flush_logs() -> None:
    """Wait, a second at most, until the lines written so far are out."""
    if (sink := _sink()) is not None:
        sink.flush()


def log_lines_lost() -> int:
    """Return how many log lines this process has lost, because nothing took them in time."""
    return sink.lost if (sink := _sink()) is not None else 0


def say(line: str) -> None:
    """Write words of a command for people to where the log lines go, and as carefully."""
    if (sink := _sink()) is not None:
        sink.write(f"{line}\n", is_urgent=True)
        return
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")


def _sink() -> Sink | None:
    factory = structlog.get_config()["logger_factory"]
    return factory.sink if isinstance(factory, _Logger) else None


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


def _adopt_other_libraries(level: str, shared: list[Processor], render: Processor, sink: Sink) -> None:
    handler = _Handler(sink)
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
