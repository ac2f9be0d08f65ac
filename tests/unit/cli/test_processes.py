import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cardwire.cli.processes import Broken, ended, ready
from shared.core.errors import StartRefused
from shared.observability import configure_logs, flush_logs


class Failed:
    """A process that has come to its end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    async def failed(self) -> BaseException | None:
        return self.error


@contextmanager
def _logged_to(stream: io.StringIO) -> Iterator[None]:
    configure_logs("error", "json", stream=stream)
    yield
    flush_logs()


async def test_a_process_that_was_stopped_ends_without_an_error() -> None:
    """Being told to stop is no failure."""
    await ended(Failed(None))


async def test_an_error_for_people_is_passed_on() -> None:
    """The command line makes a line of it."""
    with pytest.raises(StartRefused, match="why"):
        await ended(Failed(StartRefused("why")))


async def test_an_unforeseen_error_is_logged_without_its_message() -> None:
    """A library's message may quote a secret; its type and place do not."""
    lines = io.StringIO()
    with (
        _logged_to(lines),
        pytest.raises(Broken, match=r"^the process broke \(KeyError\): its last log line says where$"),
    ):
        await ended(Failed(KeyError("a secret")))
    assert "process_broke" in lines.getvalue()
    assert "a secret" not in lines.getvalue()


def test_the_ready_line_is_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """One line: the process, then what is bound where."""
    ready("gateway", callbacks="http://127.0.0.1:7777", admin="http://127.0.0.1:9101")
    assert "gateway ready callbacks=http://127.0.0.1:7777 admin=http://127.0.0.1:9101\n" == capsys.readouterr().out
