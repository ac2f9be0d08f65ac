"""
One process of the crew: looks through the outcomes of partitions, then travels through them.

It reads the log, and has nothing to write to it, no ledger and no client.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from shared.core.errors import CardwireError
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import Span, Topics
from shared.settings import LogSettings
from worker.history.walk import PIECE, walk
from worker.memory import peak_bytes
from worker.traveling.again import Again
from worker.traveling.cards import MEMORY_BYTES, Cards
from worker.traveling.crew import Broken, CrewLost, Done, Moved
from worker.traveling.findings import Difference, Findings
from worker.traveling.journey import ALWAYS, Journey, Period
from worker.traveling.pairs import Pairs
from worker.traveling.requests import Requests
from worker.traveling.settings import TravelSettings
from worker.traveling.store import temporary
from worker.traveling.watch import Watch
from worker.traveling.words import Told

TOLD: Final = "told.db"
"""The file of the folder that all processes fill and read."""

GARBAGE: Final = 50_000
"""Every so many objects the garbage collector looks: deciding leaves no cycles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """
    What all processes are told.

    Attributes:
        env: The settings.
        folder: A temporary one, which is theirs.
        examples: How many differences of each handler are kept.
        lists: Write all differences into files of the folder, one for each partition.
    """

    env: Mapping[str, str]
    folder: Path
    period: Period = ALWAYS
    examples: int = 3
    with_values: bool = False
    lists: bool = False
    memory_bytes: int = MEMORY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Look through what the outcomes of a partition tell of cards."""

    partition: int
    outcomes: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Travel through a partition."""

    partition: int
    interactions: Span
    outcomes: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a task brought; with the most memory that its process had (bytes)."""

    findings: Findings
    process: int
    peak_bytes: int


def serve(connection: Connection, trip: Trip) -> None:
    """Do the tasks that come over a connection, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us ends us
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what handlers print is no part of the report
    logging.disable(logging.CRITICAL)
    gc.set_threshold(GARBAGE)
    try:
        settings = TravelSettings.load(trip.env)
        app_of = settings.load_handlers()
        gc.freeze()  # what is loaded stays

        def give_up() -> NoReturn:
            connection.send(Broken(CrewLost("a handler cannot be stopped: expected one that ends when it is told to")))
            os._exit(1)

        watch = Watch(given_up=give_up)
        again = Again(app_of=app_of, call=watch)
        while True:
            task: Look | Walk = connection.recv()
            with watch.ringing():
                found = asyncio.run(_do(task, trip, settings.log, again, lambda by: connection.send(Moved(by))))
            connection.send(Done(Found(findings=found, process=os.getpid(), peak_bytes=peak_bytes())))
    except (EOFError, BrokenPipeError):
        return
    except CardwireError as error:
        connection.send(Broken(error))
    except Exception as error:  # noqa: BLE001 - the spine: it ends in one line
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        connection.send(Broken(CrewLost(f"time travel broke ({type(error).__name__}, {where}): report it")))


async def _do(
    task: Look | Walk, trip: Trip, settings: LogSettings, again: Again, moved: Callable[[int], None]
) -> Findings:
    topics = Topics.prefixed(settings.topic_prefix)
    with ExitStack() as files:
        shared = files.enter_context(temporary(trip.folder / TOLD))
        told = Told(shared)
        if isinstance(task, Look):
            async with opened(settings, topics) as log:
                await look(log, topics, task, told, moved)
            return Findings()
        own = files.enter_context(temporary(trip.folder / f"cards-{task.partition}.db"))
        differences = trip.folder / f"differences-{task.partition}.jsonl"
        tell = _into(files, differences) if trip.lists else _nobody
        journey = Journey(
            again=again,
            cards=Cards(own, memory_bytes=trip.memory_bytes),
            told=told,
            requests=Requests(shared),
            period=trip.period,
            tell=tell,
            examples=trip.examples,
            with_values=trip.with_values,
        )
        async with AsyncExitStack() as logs:
            inputs = await logs.enter_async_context(opened(settings, topics))
            outcomes = await logs.enter_async_context(opened(settings, topics))
            await travel((inputs, outcomes), topics, task, journey, moved)
    (trip.folder / f"cards-{task.partition}.db").unlink(missing_ok=True)
    return journey.findings


async def look(log: OpenedLog, topics: Topics, task: Look, told: Told, moved: Callable[[int], None]) -> None:
    """
    Take in what the outcomes of a partition tell of cards.

    Raises:
        LogUnavailable: They cannot be read.
    """
    span = task.outcomes
    async for piece in walk(log, topics.outcomes, task.partition, begin=span.begin, end=span.end, limit=PIECE):
        told.learn(piece)
        moved(len(piece))


async def travel(
    logs: tuple[OpenedLog, OpenedLog],
    topics: Topics,
    task: Walk,
    journey: Journey,
    moved: Callable[[int], None],
) -> None:
    """
    Take a journey through a partition.

    Args:
        logs: The log twice, one for each topic: a reader of Kafka keeps its place in one.

    Raises:
        LogUnavailable: The log cannot be read.
        NewerThanUs: A record is of a newer program.
    """
    (inputs, outcomes), asked, decided = logs, task.interactions, task.outcomes
    pairs = Pairs(
        walk(inputs, topics.interactions, task.partition, begin=asked.begin, end=asked.end),
        walk(outcomes, topics.outcomes, task.partition, begin=decided.begin, end=decided.end),
        moved,
    )
    async for piece in pairs.pieces():
        for pair in piece:
            journey.take(pair)
    journey.requests.flush()
    journey.findings.duplicates = pairs.duplicates
    journey.findings.cards = journey.cards.seen


@asynccontextmanager
async def opened(settings: LogSettings, topics: Topics) -> AsyncIterator[OpenedLog]:
    """Give the log as long as the block lasts."""
    log = open_log(settings.url, topics=topics, kafka=settings.kafka)
    try:
        yield log
    finally:
        await log.close()


def _into(files: ExitStack, path: Path) -> Callable[[Difference], None]:
    written = files.enter_context(path.open("wb"))

    def tell(one: Difference) -> None:
        written.write(msgspec.json.encode(one) + b"\n")

    return tell


def _nobody(_: Difference) -> None:
    """Tell nobody."""
