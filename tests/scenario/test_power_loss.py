"""The machine loses power: whoever was told that a click is accepted was told so by bytes that a disk had to keep."""

import asyncio
import subprocess
import sys
from collections.abc import Set as AbstractSet
from pathlib import Path

import aiohttp
import pytest

from shared.core.codec import decode
from shared.eventlog.memory import MemoryLog
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from tests.support.callbacks import APP_ID, ENCRYPT_KEY
from tests.support.clicking import People
from tests.support.commands import environment, started
from tests.support.power_loss import PowerLoss
from tests.support.spilling import a_way, until

pytestmark = pytest.mark.slow

TOPICS = Topics()
ENOUGH = 400
"""Accepted clicks: more than SQLite gathers in its write-ahead log before it writes them to the file itself."""

WRITE = """
import os, sys
folder, synced = sys.argv[1], sys.argv[2] == "synced"
for name in ("one", "two"):
    with open(f"{folder}/{name}", "wb", buffering=0) as file:
        file.write(b"first ")
        if synced:
            os.fsync(file.fileno())
        file.write(b"second")
at = os.open(folder, os.O_RDONLY)
if synced:
    os.fsync(at)
os.rename(f"{folder}/two", f"{folder}/three")
"""


@pytest.mark.parametrize(("told", "left"), [("synced", {"one": b"first ", "two": b"first "}), ("not synced", {})])
def test_only_what_was_synced_is_left(tmp_path: Path, told: str, left: dict[str, bytes]) -> None:
    """The disk of these tests drops all other bytes and names, or it would prove nothing."""
    loss = PowerLoss.of(tmp_path)
    subprocess.run([sys.executable, "-c", WRITE, str(loss.disk), told], check=True, env=dict(loss.env))
    after = loss.after(tmp_path / "after")
    assert left == {file.name: file.read_bytes() for file in after.iterdir()}


async def test_accepted_clicks_are_in_the_log_when_the_power_is_back(tmp_path: Path) -> None:
    """A SQLite log: at any moment, in the middle of commits and of checkpoints."""
    loss = PowerLoss.of(tmp_path)
    accepted = await _clicked_until_killed(loss, tmp_path, CARDWIRE_LOG=f"sqlite:///{loss.disk / 'log.db'}")
    log = open_log(f"sqlite:///{loss.after(tmp_path / 'after') / 'log.db'}", topics=TOPICS)
    try:
        assert set() == accepted - await _clicks_in(log)
    finally:
        await log.close()


async def test_accepted_clicks_are_in_the_spill_when_the_power_is_back(tmp_path: Path) -> None:
    """While Kafka is away: the next gateway of the folder finds the file, and brings all of it to the log."""
    loss = PowerLoss.of(tmp_path)
    away = {"CARDWIRE_LOG": "kafka://127.0.0.1:9", "CARDWIRE_SPILL": str(loss.disk)}
    accepted = await _clicked_until_killed(loss, tmp_path, **away)
    log = MemoryLog()

    async def are_there() -> bool:
        return accepted <= await _clicks_in(log)

    async with a_way(log, loss.after(tmp_path / "after")):
        await until(are_there, patience_s=30)


async def _clicked_until_killed(loss: PowerLoss, folder: Path, **settings: str) -> AbstractSet[str]:
    """Click on a gateway until enough are accepted, kill it at once, and return those."""
    env = environment(folder, LARK_APP_ID=APP_ID, LARK_ENCRYPT_KEY=ENCRYPT_KEY, **settings)
    (folder / "my_handlers.py").write_text('from tests.support.clicking import app\n\n__all__ = ["app"]\n')
    with started("gateway", env={**env, **loss.env}, cwd=folder) as gateway:
        url = gateway.until(r"^gateway ready callbacks=(\S+)")[1]
        async with aiohttp.ClientSession() as client:
            people = People(url, client)
            clicking = asyncio.create_task(people.click_for(60, per_s=200))
            await until(lambda: len(people.accepted()) >= ENOUGH, patience_s=60)
            gateway.process.kill()
            clicking.cancel()
            await asyncio.gather(clicking, return_exceptions=True)
            return people.accepted()


async def _clicks_in(log: EventLog) -> AbstractSet[str]:
    spans = await log.spans(TOPICS.interactions)
    records = [
        r for n, span in spans.items() for r in await log.read(TOPICS.interactions, n, span.begin, limit=100_000)
    ]
    return {str(decode(record.headers, record.value).event_id) for record in records}
