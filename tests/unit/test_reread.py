import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import structlog.testing

from gateway.settings import GatewaySettings
from shared.clock import ManualClock
from shared.core.errors import ConfigError
from shared.reread import AGAIN_S, REREAD_S, rereading
from shared.settings.changed import changed


class Source:
    """Settings that somebody changes."""

    def __init__(self) -> None:
        self.holds: str | Exception = "first"
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        if isinstance(self.holds, Exception):
            raise self.holds
        return self.holds


async def _once_more(source: Source, clock: ManualClock) -> None:
    """Let the settings be read once more, and what follows from it happen."""
    reads = source.reads
    while clock.next_wake() is None:  # noqa: ASYNC110 -- turns of the loop, not time
        await asyncio.sleep(0)
    clock.advance(REREAD_S)
    while source.reads == reads or clock.next_wake() is None:  # noqa: ASYNC110 -- a thread reads
        await asyncio.sleep(0)


async def _renewed_by(steps: Callable[[Source], list[str | Exception]]) -> list[str]:
    source, clock, renewed = Source(), ManualClock(), list[str]()
    async with rereading(source.read, "first", renewed.append, clock=clock, process="gateway"):
        for step in steps(source):
            source.holds = step
            await _once_more(source, clock)
    return renewed


async def test_what_changed_is_told_once() -> None:
    """Not what is as it was."""
    assert ["second", "first"] == await _renewed_by(lambda _: ["first", "second", "second", "first"])


async def test_settings_that_cannot_be_read_change_nothing_and_one_line_says_so() -> None:
    """A file that is empty for a moment is no reason to forget a key; a lasting problem is not told for ever."""
    broken, missing = ConfigError("LARK_ENCRYPT_KEY_FILE names …"), ConfigError("another line")
    with structlog.testing.capture_logs() as lines:
        assert ["second", "third"] == await _renewed_by(
            lambda _: ["second", broken, broken, missing, "second", broken, "third"]
        )
    kept = [line["reason"] for line in lines if line["event"] == "settings_kept"]
    assert [str(broken), str(missing), str(broken)] == kept


async def test_an_error_that_nobody_foresaw_ends_nothing() -> None:
    """Its text could hold anything, so only its name is told."""
    with structlog.testing.capture_logs() as lines:
        assert ["second"] == await _renewed_by(lambda _: [OSError("planted"), "second"])
    told = {"event": "settings_kept", "log_level": "warning", "process": "gateway", "reason": "OSError"}
    assert [told] == lines[:1]


async def test_a_change_that_cannot_be_taken_is_tried_again() -> None:
    """What is in force is what was taken."""
    source, clock, taken = Source(), ManualClock(), list[str]()

    def renew(found: str) -> None:
        if source.reads == 1:
            raise ConfigError("not now")
        taken.append(found)

    async with rereading(source.read, "first", renew, clock=clock, process="gateway"):
        source.holds = "second"
        await _once_more(source, clock)
        await _once_more(source, clock)
    assert ["second"] == taken


async def test_nothing_is_read_after_the_end() -> None:
    """And nothing before its time."""
    source, clock = Source(), ManualClock()
    async with rereading(source.read, "first", lambda _: None, clock=clock, process="gateway"):
        await asyncio.sleep(0)
        clock.advance(REREAD_S - 0.1)
        await asyncio.sleep(0)
    clock.advance(REREAD_S)
    await asyncio.sleep(0.01)
    assert 0 == source.reads


async def test_who_decides_for_good_reads_out_of_turn_a_few_times_a_second() -> None:
    """At once, without the clock; not for each of many; and again before a process could have started meanwhile."""
    source, clock, renewed = Source(), ManualClock(), list[str]()
    async with rereading(source.read, "first", renewed.append, clock=clock, process="gateway") as reading:
        source.holds = "second"
        await reading.now()
        assert ["second"] == renewed
        source.holds = "third"
        await reading.now()
        assert (["second"], 1) == (renewed, source.reads)
        clock.advance(AGAIN_S)
        await reading.now()
        assert ["second", "third"] == renewed


async def test_a_reading_out_of_turn_never_raises() -> None:
    """What is in force stays so, and one line says why."""
    source, renewed = Source(), list[str]()
    source.holds = ConfigError("no file")
    with structlog.testing.capture_logs() as lines:
        async with rereading(source.read, "first", renewed.append, clock=ManualClock(), process="gateway") as reading:
            await reading.now()
    assert ([], ["settings_kept"]) == (renewed, [line["event"] for line in lines])


async def test_a_disk_that_hangs_holds_up_nobody_for_long() -> None:
    """Whoever asked goes on with what is in force; what is read in the end counts from then on."""
    answers, renewed = threading.Event(), list[str]()

    def read() -> str:
        answers.wait(10)
        return "second"

    async with rereading(
        read, "first", renewed.append, clock=ManualClock(), within_s=0.01, process="gateway"
    ) as reading:
        await reading.now()
        assert [] == renewed
        answers.set()
        async with asyncio.timeout(5):
            while not renewed:  # noqa: ASYNC110 -- a thread reads
                await asyncio.sleep(0)


async def test_several_problems_are_one_line() -> None:
    """A line that holds lines cannot be searched for."""
    with structlog.testing.capture_logs() as lines:
        await _renewed_by(lambda _: [ConfigError("one\nother")])
    assert ["one; other"] == [line["reason"] for line in lines if line["event"] == "settings_kept"]


async def test_what_changed_is_told_by_name(tmp_path: Path) -> None:
    """Names of settings, never what they hold; and whose they are, where one machine's lines are read together."""
    env = {
        "LARK_APP_ID": "cli_a",
        "LARK_ENCRYPT_KEY": "planted-1",
        "CARDWIRE_APP": "h:app",
        "CARDWIRE_LOG": "sqlite:///l",
    }
    known, found = (
        GatewaySettings.load({**env, "LARK_ENCRYPT_KEY": key, "CARDWIRE_SPILL": str(tmp_path)})
        for key in ("planted-1", "planted-2")
    )
    assert ["LARK_ENCRYPT_KEY"] == list(changed(known, found))
    clock, renewed = ManualClock(), asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        async with rereading(lambda: found, known, lambda _: renewed.set(), clock=clock, process="gateway") as reading:
            await reading.now()
    assert renewed.is_set()
    [line] = [line for line in lines if line["event"] == "settings_reread"]
    assert (["LARK_ENCRYPT_KEY"], "gateway") == (line["changed"], line["process"])


def test_apps_are_told_by_their_names(tmp_path: Path) -> None:
    """An app that came is told of by the file."""

    def read(text: str) -> GatewaySettings:
        (tmp_path / "apps.toml").write_text(text)
        told = {"CARDWIRE_APPS": str(tmp_path / "apps.toml"), "CARDWIRE_APP": "h:app", "CARDWIRE_LOG": "sqlite:///l"}
        return GatewaySettings.load(told)

    alerts, bill = '[apps.alerts]\napp_id = "cli_a"\n', '[apps.bill]\napp_id = "cli_b"\nencrypt_key = "k-3"\n'
    before = read(alerts + 'encrypt_key = "k-1"\n')
    assert ["alerts.encrypt_key"] == list(changed(before, read(alerts + 'encrypt_key = "k-2"\n')))
    assert ["CARDWIRE_APPS"] == list(changed(before, read(alerts + 'encrypt_key = "k-1"\n' + bill)))
