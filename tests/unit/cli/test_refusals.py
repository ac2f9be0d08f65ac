import errno
import os

import pytest

from cardwire.cli.refusals import told_in_lines
from shared.core.errors import (
    CardwireError,
    ConfigError,
    LedgerRefused,
    LedgerUnavailable,
    LogRefused,
    LogUnavailable,
    StartRefused,
)
from worker.ledger.port import SchemaMismatch


def _ended(error: BaseException) -> int:
    with pytest.raises(SystemExit) as ended, told_in_lines():
        raise error
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_each_problem_of_the_settings_is_a_line_and_the_exit_code_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    """What must be mended in the settings is told apart from what is outside."""
    assert 2 == _ended(ConfigError("A is missing\nB is malformed"))
    assert "cardwire: A is missing\ncardwire: B is malformed\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StartRefused("why"), "CARDWIRE_LOG and CARDWIRE_LEDGER do not fit together: why"),
        (SchemaMismatch("why"), "CARDWIRE_LEDGER: why"),
        (LogRefused("CARDWIRE_KAFKA_CA: why"), "CARDWIRE_KAFKA_CA: why"),
        (LedgerRefused("CARDWIRE_LEDGER: why"), "CARDWIRE_LEDGER: why"),
        (CardwireError("two\n lines"), "two lines"),
        (LedgerUnavailable("why"), "CARDWIRE_LEDGER: why: expected a database that answers, for example "),
        (LogUnavailable("why"), "CARDWIRE_LOG: why: expected a log that answers, for example "),
        (
            ExceptionGroup("tasks", [ExceptionGroup("inner", [LogUnavailable("why")]), LogUnavailable("why")]),
            "CARDWIRE_LOG: why: expected a log that answers, for example ",
        ),
    ],
)
def test_what_is_outside_is_one_line_and_exit_code_1(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many tasks met the same trouble; the setting is named where there is one."""
    assert 1 == _ended(error)
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"cardwire: {line}")


def test_what_the_system_refuses_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is taken is nothing for a traceback."""
    assert 1 == _ended(OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))
    assert f"cardwire: [Errno {errno.EADDRINUSE}] Address already in use\n" == capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("bug"), ExceptionGroup("g", [CardwireError("x"), KeyError("bug")])])
def test_a_mistake_of_ours_is_no_line_but_a_traceback(error: Exception) -> None:
    """Hiding it would help nobody."""
    with pytest.raises(type(error)), told_in_lines():
        raise error


def test_a_command_that_works_is_left_alone() -> None:
    """No exit code of its own."""
    with told_in_lines():
        pass
