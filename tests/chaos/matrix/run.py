"""
One row: gateways and a client as real processes, a broker, one fault; then all is gathered for the checker.

The spine is `run_row`: start, click and break, wait until drained, stop, gather.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from tests.chaos.matrix.breaking import Breaking
from tests.chaos.matrix.client import Plan
from tests.chaos.matrix.history import RowHistory, attempts_in
from tests.chaos.matrix.place import Place
from tests.chaos.matrix.rows import Row
from tests.chaos.matrix.watch import EVERY_S, Watch
from tests.chaos.matrix.ways import APP
from tests.chaos.processes import ROOT, Fleet, Spec
from tests.support.callbacks import APP_ID, ENCRYPT_KEY, VERIFICATION_TOKEN
from tests.support.kafka import free_ports
from tests.support.spilling import spills_in

RECORD: Final = "client.jsonl"
SPILL: Final = "spill"

DRAINED_S: Final = 60.0
"""Longer than a cluster takes to find other leaders, and a killed gateway's file to be found."""

AFTERWARDS_S: Final = 2.5
"""How long is clicked when all is as before."""

MEND_S: Final = 60.0
"""How much longer than its clicks a row's fault may take to be undone: a broker's start on a busy machine."""

OVER_S: Final = 60.0
"""How long a client may take to begin, and to end."""


async def run_row(
    row: Row, place: Place, *, prefix: str, folder: Path, tell: Callable[[str], None] = lambda _: None
) -> RowHistory:
    """
    Run one row and return what it left behind; what the processes print goes to ``folder``.

    Args:
        prefix: Of topics, where the brokers have others.
        tell: Given a line for people as the row goes on.
    """
    await place.make_topic(prefix)
    fleet = Fleet(folder)
    breaking = Breaking(fleet, place.brokers[0])
    plan = _plan(row)
    try:
        await breaking.before(row.faults)
        # The client first: where gateways connect to a platform, there must be one.
        async with aiohttp.ClientSession() as session, _client(plan, folder / RECORD) as client:
            watch = Watch(fleet, session)
            await fleet.start(*_gateways(row, plan, place, prefix, folder))
            began_at = await _clicked(row, client, breaking, watch, folder=folder, tell=tell)
        await fleet.stop("gateway")
    finally:
        await fleet.close()
        await place.mend()
    return RowHistory(
        row=row.name,
        began_at=began_at,
        demands=row.demands,
        attempts=attempts_in(folder / RECORD),
        interactions=await place.lines(prefix),
        samples=watch.samples,
        faults=sorted([*breaking.done, *fleet.backs()], key=lambda fault: fault.at),
        ended=fleet.ended,
        in_folder=_left_in(folder / SPILL),
    )


async def _clicked(
    row: Row,
    client: asyncio.subprocess.Process,
    breaking: Breaking,
    watch: Watch,
    *,
    folder: Path,
    tell: Callable[[str], None],
) -> int:
    """Click while the row's faults are done, until all is as before, and some more; return when it began (ms)."""
    async with _watched(watch):
        began_at = await _began(client)
        tell(f"{row.name}: clicking for at least {row.seconds:g} s")
        async with asyncio.timeout(row.seconds + MEND_S):
            await asyncio.gather(breaking.run(row.faults), asyncio.sleep(row.seconds - AFTERWARDS_S))
        tell(f"{row.name}: waiting, and clicking, until the spill is drained")
        await _until_drained(watch, folder / SPILL, row.gateways)
        await asyncio.sleep(AFTERWARDS_S)
        await _end(client)
    await _until_drained(watch, folder / SPILL, row.gateways)  # the last clicks' marks, and what a busy machine spilled
    return began_at


def _left_in(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def _plan(row: Row) -> Plan:
    """Return what is clicked, on ports that gateways keep when they are started again, as behind a load balancer."""
    ports = tuple(free_ports(row.gateways))
    return Plan(
        urls=() if row.connects else tuple(f"http://127.0.0.1:{port}" for port in ports),
        ports=ports if row.connects else (),
        name=row.name,
        seconds=row.seconds,
        at_most_s=row.seconds + MEND_S + DRAINED_S + AFTERWARDS_S,
        per_second=row.per_second,
        leave_every=row.leave_every,
    )


def _gateways(row: Row, plan: Plan, place: Place, prefix: str, folder: Path) -> Sequence[Spec]:
    env = _env(place, prefix, folder)
    ways = [{"CARDWIRE_PORT": url.rpartition(":")[2]} for url in plan.urls] or [
        {**APP, "LARK_DELIVERY": "websocket", "LARK_DOMAIN": f"http://127.0.0.1:{port}"} for port in plan.ports
    ]
    return [
        Spec(
            name=f"gateway-{number}",
            role="gateway",
            env={**env, **way},
            program=_program(row),
            reader=row.readers[(number - 1) % len(row.readers)],
        )
        for number, way in enumerate(ways, start=1)
    ]


def _program(row: Row) -> tuple[str, ...]:
    """Return what is run: the command itself, or it on another disk."""
    if row.max_pages is None and not row.commit_ms:
        return ()
    pages = () if row.max_pages is None else ("--max-pages", str(row.max_pages))
    return ("tests.chaos.matrix.gateway", *pages, "--commit-ms", str(row.commit_ms))


def _env(place: Place, prefix: str, folder: Path) -> Mapping[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
    return {
        **inherited,
        "LARK_APP_ID": APP_ID,
        "LARK_ENCRYPT_KEY": ENCRYPT_KEY,
        "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN,
        "CARDWIRE_APP": "tests.chaos.handlers:app",
        "CARDWIRE_LOG": f"kafka://{place.bootstrap}",
        "CARDWIRE_TOPIC_PREFIX": prefix,
        "CARDWIRE_SPILL": str(folder / SPILL),
        "CARDWIRE_ADMIN_PORT": "0",
        "CARDWIRE_LOG_FORMAT": "json",
    }


@asynccontextmanager
async def _watched(watch: Watch) -> AsyncIterator[None]:
    await watch.look()
    watching = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


@asynccontextmanager
async def _client(plan: Plan, record: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tests.chaos.matrix.client", msgspec.json.encode(plan).decode(), str(record),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await _said(process, "there")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _began(client: asyncio.subprocess.Process) -> int:
    """Let a client begin, and return when it did (ms)."""
    assert client.stdin is not None
    client.stdin.write(b"begin\n")
    return int((await _said(client, "began"))[1])


async def _said(client: asyncio.subprocess.Process, what: str) -> Sequence[bytes]:
    """Wait until a client has said something, and return the words."""
    assert client.stdout is not None
    async with asyncio.timeout(OVER_S):
        words = (await client.stdout.readline()).split()
    assert words[:1] == [what.encode()], words
    return words


async def _end(client: asyncio.subprocess.Process) -> None:
    """Let a client know that it is enough, and wait until its last click is over."""
    assert client.stdin is not None
    client.stdin.close()
    async with asyncio.timeout(OVER_S):
        await client.wait()


async def _until_drained(watch: Watch, folder: Path, gateways: int) -> None:
    """Wait until all gateways are quiet, and only their own files are there; give up after a while."""
    deadline = asyncio.get_running_loop().time() + DRAINED_S
    while asyncio.get_running_loop().time() < deadline:
        if await watch.look() and len(spills_in(folder)) <= gateways:
            return
        await asyncio.sleep(EVERY_S)
