"""`cardwire log tail`: the log as it grows, for people and for programs."""

import json
import os
import re
import select
import sys
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cardwire.cli import process
from cardwire.cli.ids import expect
from cardwire.cli.letters import time_of
from cardwire.cli.log import opened
from cardwire.cli.records import cloud_event, line
from cardwire.cli.texts import plain
from shared.clock import SystemClock
from shared.core.codec import PREFIX, RECORD_TYPES, header
from shared.core.errors import ConfigError
from shared.core.json_text import EpochMs
from shared.eventlog.port import EventLog, Record, Topics
from shared.observability import say
from worker.history.half import no_topic
from worker.transfer.following import Positions, begins, ends, follow, since
from worker.transfer.patience import Patience
from worker.transfer.refusals import TransferRefused

BEGINNING: Final = "beginning"

_PLACE: Final = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: Final = tuple(name.removeprefix(PREFIX).removesuffix(".v1") for name in RECORD_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A record: its topic, or what that is for, its partition and its offset."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    Which records are shown.

    Attributes:
        begin: From which on: a time (ms), a place, `BEGINNING`; ``None``: only new ones.
        kind: Types that begin so, in the short form.
    """

    begin: EpochMs | Place | str | None = None
    card: str | None = None
    app: str | None = None
    kind: str | None = None

    @classmethod
    def of(cls, *, since: str | None, card: str | None, app: str | None, kind: str | None) -> Self:
        """
        Return which records are meant, as options say it.

        Raises:
            ConfigError: An option is malformed, or an id of another kind.
        """
        short = None if kind is None else kind.removeprefix(PREFIX).removesuffix(".v1")
        if short is not None and not any(_is_of(each, short) for each in _KINDS):
            raise ConfigError(
                f"--type is malformed: expected one of {', '.join(_KINDS)}, or how some of them begin, for example "
                "--type effect"
            )
        if card is not None:
            expect("--card", card, "card", example="--card om_dc13264520392913993dd051dba21dcf")
        if app is not None:
            expect("--app", app, "app", example="--app cli_a1b2c3d4e5f60718")
        return cls(begin=_begin(since), card=card, app=app, kind=short)

    def words(self) -> str:
        """Return which records are waited for; nothing if what there is comes first, so that there is no silence."""
        named = {"the card": self.card, "the app": self.app, "the type": self.kind}
        told = " and ".join(f"{what} {given}" for what, given in named.items() if given is not None)
        if not told and self.begin is not None:
            return ""
        return f"waiting for records{' of ' if told else ''}{told}{', new ones' if self.begin is None else ''}"

    def means(self, record: Record) -> bool:
        """Say whether a record is meant."""
        ce_type = (header(record.headers, "ce_type") or "").removeprefix(PREFIX).removesuffix(".v1")
        return (
            (self.card is None or self.card == header(record.headers, "ce_subject"))
            and (self.app is None or self.app == record.key.partition(":")[0])
            and (self.kind is None or _is_of(ce_type, self.kind))
            and (not isinstance(self.begin, int) or (header(record.headers, "ce_time") or "~") >= _rfc3339(self.begin))
        )


def tail(env: Mapping[str, str], wanted: Wanted, *, show_values: bool, as_json: bool) -> None:
    """
    Print records until a signal, or until nobody reads them any more; neither is an error.

    Raises:
        TransferRefused: The log has no such topics or partition.
        LogUnavailable: It cannot be read, or has been away for too long.
    """

    def told(record: Record) -> str:
        if as_json:
            return json.dumps(cloud_event(record, show_values=show_values), ensure_ascii=False)
        return line(record)

    async def run() -> None:
        async with opened(env) as (event_log, topics):
            clock = SystemClock()
            patience = Patience(clock, tell=lambda text: say(f"cardwire: {text}"))
            positions = await _positions(event_log, topics, wanted)
            if waited_for := wanted.words():
                say(plain(f"cardwire: {waited_for}; Ctrl-C ends it"))
            async with aclosing(follow(event_log, positions, clock=clock, patience=patience)) as following:
                async for piece in following:
                    if not _printed(told(record) for record in piece if wanted.means(record)):
                        return

    process.run(run(), fast=False)


def _printed(lines: Iterable[str]) -> bool:
    """Print lines at once; say whether somebody reads them."""
    try:
        for each in lines:
            sys.stdout.write(f"{each}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())  # or what is left in it would be an error at the end
        return False
    return not _is_closed()


def _is_closed() -> bool:
    """Say whether standard output is a pipe whose reader has gone: a quiet log would not tell for hours."""
    looking = select.poll()
    looking.register(sys.stdout.fileno(), 0)
    return any(found & (select.POLLERR | select.POLLNVAL) for _, found in looking.poll(0))


async def _positions(event_log: EventLog, topics: Topics, wanted: Wanted) -> Positions:
    spans = {name: await event_log.spans(name) for name in (topics.interactions, topics.outcomes)}
    for name, found in spans.items():
        if not found:
            raise TransferRefused(no_topic(name))
    match wanted.begin:
        case None:
            return ends(spans)
        case int() as at:
            return {
                (topic, number): await since(event_log, topic, number, span, at)
                for topic, each in spans.items()
                for number, span in each.items()
            }
        case Place() as place:
            topic = {"interactions": topics.interactions, "outcomes": topics.outcomes}.get(place.topic, place.topic)
            if place.partition not in spans.get(topic, {}):
                raise TransferRefused(
                    f"the log has no partition {topic}/{place.partition}: expected one that it has, for example --from "
                    f"{topics.interactions}/0/0"
                )
            return {(topic, place.partition): place.offset}
        case _:
            return begins(spans)


def _begin(given: str | None) -> EpochMs | Place | str | None:
    if given is None or given == BEGINNING:
        return given
    if found := _PLACE.fullmatch(given):
        return Place(topic=found["topic"], partition=int(found["partition"]), offset=int(found["offset"]))
    try:
        return time_of("--from", given, SystemClock().now())
    except ConfigError as error:
        raise ConfigError(
            f"--from is malformed: expected {BEGINNING}, a time, how long ago, or a place in the log, for example "
            "--from 2h, --from 2026-01-31T08:00:00+08:00 or --from interactions/3/120"
        ) from error


def _is_of(kind: str, wanted: str) -> bool:
    return kind == wanted or kind.startswith(f"{wanted}.")


def _rfc3339(at: EpochMs) -> str:
    with suppress(OverflowError):
        return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return "~"
