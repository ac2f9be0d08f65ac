"""
`cardwire dlq`: what failed and is kept, and how it is tried again.

It reads the ledger and the dead-letter topic, beside running workers or without them. Nothing that a person typed or a
card says is shown unless ``--body`` asks for it; tokens are masked even then.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from cardwire.cli.ids import expect
from cardwire.cli.letters import EXAMPLE, KINDS, Letter, Wish, facts, in_order, of_effect, of_input, of_record
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from cardwire.cli.terminal import console, plain, time_text
from shared.core.codec import encode
from shared.core.errors import CardwireError, ConfigError
from shared.core.events import RedriveRequested
from shared.core.ids import MessageId, TenantKey
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, NewRecord, Topics
from shared.settings import LogSettings, load, section
from worker.ledger.port import ClaimKey, EffectKey
from worker.settings import ledger_url

if TYPE_CHECKING:
    from worker.ledger.sql_ledger import SqlLedger

PAGE: Final = 500
SECRETS: Final = frozenset({"card_token", "preview_token", "app_ticket", "token"})
MASKED: Final = "***"


class NoSuchLetter(CardwireError):
    """Nothing of that id is a dead letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DlqSettings:
    """Where ledger and log are."""

    ledger: Secret = ledger_url()
    log: LogSettings = section(LogSettings)


def list_letters(env: Mapping[str, str], wish: Wish, *, as_json: bool) -> None:
    """
    Print the dead letters that are meant, oldest first.

    Raises:
        LedgerUnavailable, LogUnavailable: They cannot be reached.
        SchemaMismatch: The database is not this program's.
    """
    letters = asyncio.run(_with(env, lambda place: place.letters(wish)))
    _print(letters, as_json=as_json)
    if not as_json:
        counts = ", ".join(f"{sum(each.kind == kind for each in letters)} {kind}" for kind in KINDS)
        typer.echo(f"{len(letters)} dead letters: {counts}")


def show_letter(env: Mapping[str, str], letter_id: str, *, with_body: bool, as_json: bool) -> None:
    """
    Print one dead letter.

    Raises:
        ConfigError: It is an id of another kind.
        NoSuchLetter: It is none.
    """
    expect("ID", letter_id, "event", example=EXAMPLE)

    async def look(place: "_Place") -> Sequence[tuple[Letter, Any]]:
        found = await place.letters(Wish(ids=[letter_id]))
        return [(letter, _masked(await place.body(letter)) if with_body else None) for letter in found]

    found = asyncio.run(_with(env, look))
    if not found:
        raise NoSuchLetter(f"nothing of the id {letter_id} is a dead letter: cardwire dlq list shows what is")
    for letter, body in found:
        told = {**facts(letter), **({"body": body} if with_body else {})}
        if as_json:
            typer.echo(json.dumps(told, ensure_ascii=False))
            continue
        for name, value in told.items():
            text = time_text(letter.at) if name == "at" else value if isinstance(value, str) else json.dumps(value)
            typer.echo(f"{name:<12} {plain(str(text))}")


def redrive(env: Mapping[str, str], wish: Wish, *, everything: bool, dry_run: bool, as_json: bool) -> None:
    """
    Have dead letters tried again, oldest first.

    Args:
        everything: Said on purpose, where nothing says which are meant.
        dry_run: Only say which.

    Raises:
        ConfigError: It is not said which.
        LogUnavailable: Some may have been recorded; redriving again is safe: each is decided once.
    """
    if wish.asks_nothing and not everything:
        raise ConfigError(
            "nothing says which dead letters are meant: expected ids, a filter or --all, for example "
            "cardwire dlq redrive --kind handler --since 2h"
        )
    letters = asyncio.run(_with(env, lambda place: place.letters(wish)))
    able = [letter for letter in letters if letter.stays is None]
    if dry_run:
        _print(able, as_json=as_json)
    else:
        with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
            task = progress.add_task("redriving", total=len(able))
            asyncio.run(_with(env, lambda place: place.redrive(able, lambda n: progress.advance(task, n))))
    told = {"redriven": 0 if dry_run else len(able), "meant": len(able), "left": len(letters) - len(able)}
    if as_json:
        typer.echo(json.dumps(told))
    else:
        done = f"{len(able)} would be redriven" if dry_run else f"{len(able)} are tried again by the workers"
        typer.echo(f"{done}, {told['left']} cannot be")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Ledger and log of a deployment."""

    ledger: "SqlLedger"
    log: EventLog
    topics: Topics

    async def letters(self, wish: Wish) -> list[Letter]:
        """Return the dead letters that are meant, oldest first."""
        found: list[Letter] = []
        if wish.kind in {None, "handler"}:
            found += map(of_input, await self.ledger.failed_inputs())
        if wish.kind in {None, "effect"}:
            found += map(of_effect, await self.ledger.failed_effects())
        if wish.kind in {None, "undecodable"}:
            found += await self._undecodable()
        return in_order(letter for letter in found if wish.means(letter))

    async def body(self, letter: Letter) -> Any:
        """Return what is kept of a dead letter, as JSON; of a record that nobody can read, its bytes as text."""
        if letter.kind == "undecodable":
            _, partition, offset = letter.id.split("/")
            (record,) = await self.log.read(self.topics.dead, int(partition), int(offset), limit=1)
            return (record.value or b"").decode("utf-8", "replace")
        key: ClaimKey | EffectKey = ClaimKey(letter.app_id, letter.event_id)
        if letter.index is not None:
            key = EffectKey(letter.app_id, letter.event_id, letter.index)
        kept = await self.ledger.body(key)
        return None if kept is None else json.loads(kept)

    async def redrive(self, letters: Sequence[Letter], done: Callable[[int], None]) -> None:
        """Have dead letters tried again; of one card in their order."""
        for start in range(0, len(letters), PAGE):
            page = letters[start : start + PAGE]
            now = time.time_ns() // 1_000_000
            records = [
                NewRecord.of(self.topics.interactions, encode(_request(letter, await self._card(letter), now)))
                for letter in page
                if letter.kind == "handler"
            ]
            if records:
                await self.log.append(records)
            effects = [
                EffectKey(each.app_id, each.event_id, each.index)
                for each in page
                if each.kind == "effect" and each.index is not None
            ]
            if effects:
                await self.ledger.redrive_effects(effects, topic=self.topics.outcomes)
            done(len(page))

    async def _card(self, letter: Letter) -> MessageId | None:
        """Return the card of what is kept, which is decided again: its record must lie where the card's others do."""
        kept = await self.body(letter)
        return kept.get("message_id") if isinstance(kept, dict) else letter.message_id

    async def _undecodable(self) -> list[Letter]:
        found: list[Letter] = []
        for partition, span in sorted((await self.log.spans(self.topics.dead)).items()):
            offset = span.begin
            while offset < span.end and (page := await self.log.read(self.topics.dead, partition, offset, limit=PAGE)):
                found += map(of_record, page)
                offset = page[-1].offset + 1
        return found


async def _with(env: Mapping[str, str], do: Callable[[_Place], Any]) -> Any:
    only_our_lines()
    settings = load(DlqSettings, with_files(env, Path.cwd()))
    from worker.ledger.open import open_ledger

    topics = Topics.prefixed(settings.log.topic_prefix)
    async with AsyncExitStack() as stack:
        ledger = open_ledger(settings.ledger.reveal())
        stack.push_async_callback(ledger.close)
        await ledger.look()
        event_log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
        stack.push_async_callback(event_log.close)
        return await do(_Place(ledger=ledger, log=event_log, topics=topics))


def _request(letter: Letter, card: MessageId | None, now: EpochMs) -> RedriveRequested:
    return RedriveRequested(
        event_id=letter.event_id,
        n=letter.redrives + 1,
        app_id=letter.app_id,
        tenant_key=TenantKey(""),
        message_id=card,
        requested_at=now,
    )


def _print(letters: Sequence[Letter], *, as_json: bool) -> None:
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(facts(letter), ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("died", "kind", "what", "reason", "code", "card", "id"):
        table.add_column(name, overflow="fold")
    for letter in letters:
        marked = replace(letter, reason=f"{letter.reason} (its card stands still)") if letter.parks else letter
        cells = (
            time_text(marked.at), marked.kind, marked.what, marked.reason,
            "" if marked.code is None else str(marked.code), marked.message_id or "", marked.id,
        )  # fmt: skip
        table.add_row(*(Text(plain(cell)) for cell in cells))
    console().print(table)


def _masked(value: Any) -> Any:
    match value:
        case dict():
            return {name: MASKED if name in SECRETS else _masked(part) for name, part in value.items()}
        case list():
            return [_masked(part) for part in value]
        case _:
            return value
