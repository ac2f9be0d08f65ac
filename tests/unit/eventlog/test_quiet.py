"""aiokafka's log lines."""

import logging

from shared.clock import ManualClock
from shared.eventlog.kafka.quiet import Seldom, quiet_aiokafka


def _line(level: int, template: str, name: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, template, ("x",), None)


def test_a_repeated_line_passes_once_in_a_while_and_tells_how_many_were_held_back() -> None:
    """Thousands of lines a second become one in ten seconds; other lines are not held back for it."""
    clock = ManualClock()
    seldom = Seldom(10, monotonic=clock.monotonic)
    passed = [seldom.filter(_line(logging.ERROR, "lost %s")) for _ in range(5)]
    assert [True, False, False, False, False] == passed
    assert seldom.filter(_line(logging.ERROR, "found %s"))
    assert seldom.filter(_line(logging.ERROR, "lost %s", name="aiokafka.client"))
    clock.advance(10)
    line = _line(logging.ERROR, "lost %s")
    assert seldom.filter(line)
    assert "lost x (and 4 more like it)" == line.getMessage()


def test_debug_lines_never_pass() -> None:
    """They hold keys, values and requests."""
    assert not Seldom().filter(_line(logging.DEBUG, "Sending (key=%s)"))


def test_every_logger_of_aiokafka_is_filtered() -> None:
    """A filter on the parent would not see its children's lines."""
    quiet_aiokafka()
    loggers = [logging.getLogger(name) for name in ("aiokafka", "aiokafka.conn", "aiokafka.producer.sender")]
    assert all(any(isinstance(each, Seldom) for each in logger.filters) for logger in loggers)
