"""User code under a deadline, in the main thread."""

import time
from typing import NoReturn

import pytest

from shared.core.errors import HandlerError
from worker.deciding.judge import MissedDeadline
from worker.traveling.watch import Watch


def _hang() -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pass


def test_what_comes_back_in_time_is_returned() -> None:
    """And what it raised for people is raised, other errors with their type and place alone."""
    watch = Watch()

    def refuse() -> NoReturn:
        raise HandlerError("no")

    def fail() -> NoReturn:
        raise SystemExit("typed")

    with watch.ringing():
        assert 3 == watch(lambda: 3)
        with pytest.raises(HandlerError, match=r"^no$"):
            watch(refuse)
        with pytest.raises(HandlerError, match=r"^SystemExit in a handler \(test_watch.py:\d+\)$"):
            watch(fail)
    assert not watch.spent


def test_what_hangs_is_interrupted_whatever_it_catches() -> None:
    """Once, twice: each call by itself; the next one has its own time."""
    watch = Watch(handler_s=0.1)

    def swallow() -> int:
        try:
            _hang()
        except BaseException:  # noqa: BLE001 - what user code should not do
            return 1
        return 2

    with watch.ringing():
        for hanging in (_hang, swallow, _hang):
            with pytest.raises(MissedDeadline):
                watch(hanging)
        assert 4 == watch(lambda: 4)


def test_nothing_is_interrupted_between_calls() -> None:
    """The walk itself may take as long as it likes."""
    watch = Watch(handler_s=0.1)
    with watch.ringing():
        watch(lambda: None)
        time.sleep(0.7)


def test_what_cannot_be_ended_is_told() -> None:
    """Somebody has to end the process."""
    told: list[bool] = []
    watch = Watch(handler_s=0.0, given_up=lambda: told.append(True))

    def stubborn() -> None:
        while not told:
            try:
                _hang()
            except BaseException:  # noqa: BLE001, S112 - what no user code should do
                continue

    with watch.ringing(every_s=0.01), pytest.raises(MissedDeadline):
        watch(stubborn)
    assert told
