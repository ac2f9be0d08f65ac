"""
`cardwire replay`: what the log tells of cards, chats, people, events, or a time.

Only the log is read: no ledger, no group, and the platform is not called. Nothing that a person typed, and no token, is
shown unless ``--show-values`` asks for the former; tokens never are.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from cardwire.cli.ids import expect
from cardwire.cli.letters import begun, time_of
from cardwire.cli.recorded import COLUMNS, change_facts, change_in_words, changes, in_words, rows, value_in_words
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from cardwire.cli.terminal import console
from cardwire.cli.texts import plain, time_text
from cardwire.cli.verify import NoLog
from shared.core.errors import CardwireError, ConfigError
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from shared.observability import say
from shared.settings import LogSettings, load
from worker.history.gaps import gaps
from worker.history.half import missing_half, no_topic
from worker.history.moments import Moment, What
from worker.history.replay import Replay, replay
from worker.history.wish import Wish

PROGRESS_RECORDS: Final = 20_000
FORMS: Final = ("timeline", "table")

_COLOURS: Final[Mapping[What, str]] = {
    "received": "cyan",
    "requested": "cyan",
    "returned": "cyan",
    "reminded": "cyan",
    "answered": "dim",
    "redriven": "cyan",
    "decided": "yellow",
    "outcome": "green",
}


class NothingTold(CardwireError):
    """The log tells nothing of what was asked for."""


def run_replay(env: Mapping[str, str], wish: Wish, *, form: str, show_values: bool, as_json: bool) -> None:
    """
    Tell what was recorded.

    Args:
        form: One of `FORMS`.
        show_values: Also what people typed, and how cards changed.

    Raises:
        ConfigError: Something given is not as expected.
        NothingTold: Nothing was found, although something was named.
        LogUnavailable: The log cannot be read.
    """
    if form not in FORMS:
        raise ConfigError(f"--as is malformed: expected {' or '.join(FORMS)}, for example --as table")
    only_our_lines()
    found = asyncio.run(_found(load(LogSettings, with_files(env, Path.cwd())), wish, show_values=show_values))
    try:
        if not found.events and (named := _named(wish)) is not None:
            raise NothingTold(
                f"the log tells nothing of {named}: expected what was recorded and not deleted since, for example "
                "cardwire replay --from 2h"
            )
        _tell(found, form="json" if as_json else form)
    finally:
        found.close()


def wish_of(
    *,
    since: str | None,
    until: str | None,
    card: str | None,
    chat: str | None,
    operator: str | None,
    event: str | None,
    request_id: str | None,
    app: str | None,
) -> Wish:
    """
    Return whose story is meant, as options say it.

    Raises:
        ConfigError: An option is malformed, or an id of another kind, or the time ends before it begins.
    """
    now = time.time_ns() // 1_000_000
    begin, end = time_of("--from", since, now), time_of("--to", until, now)
    if begin is not None and end is not None and begin >= end:
        raise ConfigError("--from is not before --to: expected a period, for example --from 7d --to 1d")
    begun("--from", begin, now)
    if card is not None:
        expect("--card", card, "card", example="--card om_dc13264520392913993dd051dba21dcf")
    if chat is not None:
        expect("--chat", chat, "chat", example="--chat oc_5ad11d72b830411d72b836c20")
    if operator is not None:
        expect("--operator", operator, "person", example="--operator ou_84aad35d084aa403a838cf73ee18467")
    if event is not None:
        expect("--event", event, "event", example="--event 0a1b2c3d4e5f60718293a4b5c6d7e8f9")
    if app is not None:
        expect("--app", app, "app", example="--app cli_a1b2c3d4e5f60718")
    return Wish(
        since=begin, until=end, app_id=app, message_id=card, chat_id=chat, event_id=event, request_id=request_id,
        person=operator,
    )  # fmt: skip


def _named(wish: Wish) -> str | None:
    named = {
        "the card": wish.message_id, "the chat": wish.chat_id, "the event": wish.event_id,
        "the request": wish.request_id, "the person": wish.person, "the app": wish.app_id,
    }  # fmt: skip
    told = [f"{what} {given}" for what, given in named.items() if given is not None]
    return " and ".join(told) or None


async def _found(settings: LogSettings, wish: Wish, *, show_values: bool) -> Replay:
    topics = Topics.prefixed(settings.topic_prefix)
    event_log = open_log(settings.url, topics=topics, kafka=settings.kafka)
    try:
        if not await event_log.spans(topics.interactions):
            raise NoLog(no_topic(topics.interactions))
        if (missing := await missing_half(event_log, topics)) is not None:
            say(f"cardwire: {missing}")  # what is there is told all the same: it may be all that there is yet
        with _progress() as (begun, moved):
            return await replay(event_log, topics, wish, with_values=show_values, begun=begun, progressed=moved)
    finally:
        await event_log.close()


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show on a terminal how far the reading is, if it takes a while."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("records", total=None, visible=False)
        yield (
            lambda records: bar.update(task, total=records, visible=records >= PROGRESS_RECORDS),
            lambda by: bar.advance(task, by),
        )


def _tell(found: Replay, *, form: str) -> None:
    if form == "table":
        table = Table(box=None, pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, overflow="fold", justify="right" if name in {"version", "ms"} else "left")
        for story in found.stories():
            for row in rows(story):
                table.add_row(*(Text(plain(cell)) for cell in row))
        console().print(table)
    else:
        tell = _print_json if form == "json" else _print
        for story in found.stories():
            tell(story)
    if form == "json":
        _line({"what": "replayed", "events": found.events, "records": found.records, "undecodable": found.undecodable})
    else:
        typer.echo(f"{found.events} events, of {found.records} records")


def _print_json(story: Sequence[Moment]) -> None:
    for moment, changed in changes(story):
        told: dict[str, Any] = {
            "what": moment.what, "at": moment.at, "app_id": moment.app_id, "event_id": moment.event_id,
            "message_id": moment.message_id, "topic": moment.topic, "partition": moment.partition,
            "offset": moment.offset, **moment.facts,
        }  # fmt: skip
        if moment.values:
            told["values"] = moment.values
        if changed is not None:
            told["changes"] = [dict(change_facts(change)) for change in changed]
        _line(told)
    for gap in gaps(story):
        _line({"what": "gap", "event_id": gap.event_id, "text": gap.text})


def _print(story: Sequence[Moment]) -> None:
    out = console()
    of = story[0].message_id or story[0].event_id
    out.print(Text.assemble((plain(of), "bold"), f" of {plain(story[0].app_id)}"), soft_wrap=True)
    for moment, changed in changes(story):
        what = (f"{moment.what:<9}", _COLOURS[moment.what])
        told = Text.assemble(time_text(moment.at), "  ", what, "  ", plain(in_words(moment)))
        told.append(f"  {plain(moment.event_id)}", style="dim")
        out.print(told, soft_wrap=True)
        lines = [value_in_words(name, value) for name, value in moment.values.items()]
        for line in [*lines, *map(change_in_words, changed or ())]:
            out.print(Text(f"{'':<26}{plain(line)}"), soft_wrap=True)
    for gap in gaps(story):
        told = Text.assemble(f"{'':<24}  ", ("gap      ", "red"), "  ", plain(gap.text))
        told.append(f"  {plain(gap.event_id)}", style="dim")
        out.print(told, soft_wrap=True)


def _line(value: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
