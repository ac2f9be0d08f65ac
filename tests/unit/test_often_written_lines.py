import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
import structlog

from gateway.lines import CallbackAnswered
from shared.observability import configure_logs, flush_logs, redact
from shared.observability.often import often

TOKEN: Final = "c-295ee57216a5dc9de90fefd0aadb4b1d"
LINE: Final = CallbackAnswered(
    app_id="cli_a1", kind="card_action", outcome="recorded", status=200, ms=1.2, delivered=True
)


class Pipe(io.StringIO):
    """A stream that says when something was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.was_written = threading.Event()

    def write(self, text: str) -> int:
        length = super().write(text)
        self.was_written.set()
        return length

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What was written."""
        flush_logs()
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Configure log lines as a gateway does, for the length of a test."""
    stream = Pipe()
    configure_logs("info", "json", stream=stream)
    yield stream
    flush_logs()


def _soon(pipe: Pipe) -> dict[str, Any]:
    assert pipe.was_written.wait(5)
    (line,) = pipe.lines
    return line


def test_a_line_is_written_soon_without_anybody_flushing_it(pipe: Pipe) -> None:
    """Who looks at a quiet gateway sees its last click."""
    often.write(LINE)
    line = _soon(pipe)
    assert line.pop("at").endswith("Z")
    expected = {
        "app_id": "cli_a1",
        "kind": "card_action",
        "outcome": "recorded",
        "status": 200,
        "ms": 1.2,
        "delivered": True,
    }
    assert {"event": "callback_answered", "level": "info", **expected} == line


def test_it_is_the_line_that_structlog_would_have_written(pipe: Pipe) -> None:
    """Fast or not, a line has the same members."""
    often.write(msgspec.structs.replace(LINE, event_id="ev1", rule="跟进"))
    fast = _soon(pipe)
    structlog.get_logger().info(
        "callback_answered", app_id="cli_a1", kind="card_action", outcome="recorded", status=200, ms=1.2,
        delivered=True, event_id="ev1", rule="跟进",
    )  # fmt: skip
    slow = pipe.lines[1]
    assert slow.keys() == fast.keys()
    assert {**slow, "at": ""} == {**fast, "at": ""}
    assert len(slow["at"]) == len(fast["at"])


def test_lines_keep_their_order(pipe: Pipe) -> None:
    """Another line does not pass those that wait."""
    often.write(LINE)
    structlog.get_logger().info("other")
    often.write(LINE)
    logging.getLogger("aiohttp").warning("third party's")
    assert ["callback_answered", "other", "callback_answered", "third party's"] == [
        line["event"] for line in pipe.lines
    ]


def test_a_warning_is_one_there_too(pipe: Pipe) -> None:
    """It goes the way of all other lines."""
    often.write(msgspec.structs.replace(LINE, level="warning", outcome="rejected", cause="signature_mismatch"))
    assert [("warning", "signature_mismatch")] == [(line["level"], line["cause"]) for line in pipe.lines]


@pytest.mark.parametrize("member", ["request_id", "event_id", "open_message_id", "event_type", "rule"])
@pytest.mark.parametrize("text", [TOKEN, f"x {TOKEN}", "http://u:pa55@h", "w?ticket=def0", "BEARER abcdefgh1"])
def test_a_secret_among_its_texts_is_cut_out(pipe: Pipe, member: str, text: str) -> None:
    """What strangers write into ids is as harmless here as in any other line."""
    often.write(msgspec.structs.replace(LINE, **{member: text}))
    flush_logs()
    written = pipe.getvalue()
    assert not any(secret in written for secret in (TOKEN, "pa55", "def0", "abcdefgh1"))
    assert "***" in pipe.lines[0][member]


def test_a_header_that_is_no_text_is_told(pipe: Pipe) -> None:
    """Whatever bytes somebody sends: the line is written."""
    often.write(msgspec.structs.replace(LINE, request_id="\udcff1"))
    assert ["?1"] == [line["request_id"] for line in pipe.lines]


def test_redaction_hides_no_member_of_it() -> None:
    """A declared line needs no look at its keys."""
    names = dict.fromkeys(CallbackAnswered.__struct_fields__, "x")
    assert names == redact(None, "info", dict(names))


def test_less_important_lines_are_not_written(pipe: Pipe) -> None:
    """The level counts for these, too."""
    configure_logs("warning", "json", stream=pipe)
    often.write(LINE)
    structlog.get_logger().warning("loud")
    assert ["loud"] == [line["event"] for line in pipe.lines]
