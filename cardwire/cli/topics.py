"""`cardwire topics`: make the log's topics, and compare them with what Cardwire needs."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import typer

from shared.eventlog.open import open_log
from shared.eventlog.port import PARTITIONS, EventLog, Topics
from shared.settings import LogSettings, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A topic, and what is wrong with it (nothing: it is as it must be)."""

    topic: str
    problems: Sequence[str] = ()


def create(env: Mapping[str, str], *, as_json: bool) -> None:
    """
    Create the topics that do not exist.

    Raises:
        LogUnavailable: The log cannot be reached or refuses.
    """
    for compared in asyncio.run(_created(load(LogSettings, env))):
        _tell(compared, as_json=as_json)


def check(env: Mapping[str, str], *, as_json: bool) -> bool:
    """
    Say whether all topics are as they must be.

    Raises:
        LogUnavailable: The log cannot be reached.
    """
    found = asyncio.run(_compared(load(LogSettings, env)))
    for compared in found:
        _tell(compared, as_json=as_json)
    return not any(compared.problems for compared in found)


async def _created(settings: LogSettings) -> Sequence[Compared]:
    async with _opened(settings) as event_log:
        await event_log.create(names(settings))
    return await _compared(settings)


async def _compared(settings: LogSettings) -> Sequence[Compared]:
    async with _opened(settings) as event_log:
        return [await compare(event_log, topic) for topic in names(settings)]


def names(settings: LogSettings) -> Sequence[str]:
    """Return the names of a deployment's topics."""
    topics = Topics.prefixed(settings.topic_prefix)
    return (topics.interactions, topics.outcomes, topics.dead)


async def compare(event_log: EventLog, topic: str) -> Compared:
    """Return what is wrong with a topic."""
    return Compared(topic=topic, problems=await event_log.differences(topic))


@asynccontextmanager
async def _opened(settings: LogSettings) -> AsyncIterator[EventLog]:
    event_log = await open_log(settings.url, topics=Topics.prefixed(settings.topic_prefix), kafka=settings.kafka)
    try:
        yield event_log
    finally:
        await event_log.close()


def _tell(compared: Compared, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"topic": compared.topic, "problems": list(compared.problems)}, ensure_ascii=False))
        return
    typer.echo(f"{compared.topic}: {'; '.join(compared.problems) or 'as it must be'}")
