"""`cardwire topics`: make the log's topics, and compare them with what Cardwire needs."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import typer

from cardwire.cli.refusals import only_our_lines
from shared.core.errors import LogUnavailable
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import Topics
from shared.settings import LogSettings, load


def create(env: Mapping[str, str], *, as_json: bool) -> None:
    """
    Create the topics that do not exist.

    Raises:
        LogUnavailable: The log cannot be reached or refuses.
    """
    only_our_lines()
    settings = load(LogSettings, env)
    made = asyncio.run(_create(settings))
    if as_json:
        typer.echo(json.dumps({"topics": names(settings)}))
        return
    typer.echo("\n".join(f"{topic}: {'created' if topic in made else 'there'}" for topic in names(settings)))


def check(env: Mapping[str, str], *, as_json: bool) -> bool:
    """
    Say what is wrong with the topics, and whether nothing is.

    Raises:
        LogUnavailable: The log cannot be reached.
    """
    only_our_lines()
    settings = load(LogSettings, env)
    problems = asyncio.run(_check(settings))
    if as_json:
        typer.echo(json.dumps({"topics": names(settings), "problems": problems}))
    else:
        typer.echo("\n".join(problems or [f"{topic}: as it must be" for topic in names(settings)]))
    return not problems


def names(settings: LogSettings) -> list[str]:
    """Return the names of a deployment's topics."""
    topics = Topics.prefixed(settings.topic_prefix)
    return [topics.interactions, topics.outcomes, topics.dead]


async def _create(settings: LogSettings) -> set[str]:
    """Create the topics, and return those that were not there before."""
    wanted = names(settings)
    async with _opened(settings) as event_log:
        missing = {topic for topic in wanted if await _is_missing(event_log, topic)}
        await event_log.create(wanted)
    return missing


async def _is_missing(event_log: OpenedLog, topic: str) -> bool:
    try:
        return not await event_log.spans(topic)
    except LogUnavailable:
        return False  # Nobody knows; if it is to be told, creating tells why.


async def _check(settings: LogSettings) -> list[str]:
    async with _opened(settings) as event_log:
        return list(await event_log.differences(names(settings)))


@asynccontextmanager
async def _opened(settings: LogSettings) -> AsyncIterator[OpenedLog]:
    event_log = open_log(settings.url, topics=Topics.prefixed(settings.topic_prefix), kafka=settings.kafka)
    try:
        yield event_log
    finally:
        await event_log.close()
