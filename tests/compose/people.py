"""People who click in a stack until they are told to stop, and the history that such a run leaves behind."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from tests.chaos import collect
from tests.chaos.handlers import card_showing
from tests.chaos.history import Demands, Ended, History
from tests.chaos.load import Load, People
from tests.chaos.platform import Platform, session
from tests.chaos.processes import now
from tests.compose.breaking import Breaking
from tests.compose.engine import ROOT, Compose, docker
from tests.compose.inside import Gathered

CARDS: Final = 100
CARDS_PER_CHAT: Final = 10
PER_SECOND: Final = 20.0
PATIENCE_S: Final = 60.0
QUIET_S: Final = 90.0

HANDLERS: Final = {
    "CARDWIRE_HANDLERS": str(ROOT / "tests/chaos"),
    "CARDWIRE_APP": "handlers:app",
    # On both sides: the run is to be limited by faults, not by budgets.
    "CARDWIRE_LIMITS": "20",
    "CARDWIRE_SIMULATOR_LIMITS": "20",
}
"""Settings with which a stack counts clicks; see `tests.chaos.handlers`."""


@asynccontextmanager
async def simulator(compose: Compose) -> AsyncIterator[Platform]:
    """Return the control interface of a stack's simulator."""
    async with session() as ours:
        yield Platform(ours, await compose.address("simulator", 8900))


async def clicked_while(
    compose: Compose,
    act: Callable[[Breaking], Awaitable[None]],
    *,
    clicks: int,
    seed: int,
    tell: Callable[[str], None],
    kills: dict[str, int],
) -> History:
    """
    Click at a constant rate while ``act`` does its worst, wait until all is quiet, and return what is left behind.

    Args:
        clicks: How many; ``act`` should be done before the last one.
        kills: How many kills of each role make the run worth anything.
    """
    async with simulator(compose) as platform, simulator(compose) as theirs:
        chats = [(await platform.post("chats", {"name": "compose"}))["chat_id"] for _ in range(CARDS // CARDS_PER_CHAT)]
        cards = [
            (await platform.post("cards", {"chat_id": chats[number % len(chats)], "card": card_showing(0, "")}))[
                "message_id"
            ]
            for number in range(CARDS)
        ]
        load = Load(clicks=clicks, per_second=PER_SECOND, patience_s=PATIENCE_S)
        people, breaking = People(theirs, cards, load, random.Random(seed)), Breaking(compose, tell)
        began_at = now()
        async with asyncio.TaskGroup() as group:
            group.create_task(people.click())
            group.create_task(_act(act, breaking))
        ended_at = now()
        tell("waiting until nothing is left to do")
        unquiet = (await gathered(compose, within_s=QUIET_S)).unquiet
        await compose.run("stop", "proxy", "gateway", "worker")
        left = await gathered(compose, within_s=0)
        return History(
            began_at=began_at,
            ended_at=ended_at,
            demands=Demands(kills=kills),
            clicks=people.clicked,
            interactions=left.interactions,
            outcomes=left.outcomes,
            cards=await collect.cards(platform, cards),
            chats=await collect.chats(platform, chats),
            deliveries=await collect.deliveries(platform),
            calls=await collect.calls(platform),
            broken=await collect.broken(platform),
            faults=breaking.done,
            ended=await _ended(compose),
            unquiet=unquiet,
            ledger=left.ledger,
            unlike=left.unlike,
        )


async def gathered(compose: Compose, *, within_s: float) -> Gathered:
    """Return what log and ledger hold once nothing is left to do, or that much time has passed."""
    where = ("--volume", f"{ROOT / 'tests'}:/proof/tests:ro", "--env", "PYTHONPATH=/proof", "--entrypoint", "python")
    # -P: modules of the folder of handlers, where commands are run, do not take the place of others.
    program = ("-P", "-m", "tests.compose.inside", str(within_s))
    ran = await compose.run("run", "--rm", "--no-TTY", "--no-deps", *where, "cli", *program)
    return msgspec.json.decode(ran.out, type=Gathered)


async def _act(act: Callable[[Breaking], Awaitable[None]], breaking: Breaking) -> None:
    await act(breaking)


async def _ended(compose: Compose) -> Sequence[Ended]:
    """Return the containers that the engine had to start again by itself: their processes ended unasked."""
    return [
        Ended(
            at=now(),
            name=each["Name"].lstrip("/"),
            code=each["State"]["ExitCode"],
            started_at=0,
            was_ready=True,
            last_line="; ".join((await docker("logs", "--tail", "3", each["Id"])).err.split("\n"))[:500],
        )
        for each in await compose.all_containers()
        if each["RestartCount"]
    ]
