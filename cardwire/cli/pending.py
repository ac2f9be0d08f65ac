"""`cardwire pending`: which effects wait, since when, why, and when they are tried next. Changes nothing."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import typer
from rich.table import Table
from rich.text import Text

from cardwire.cli.database import DatabaseSettings
from cardwire.cli.ledgers import opened
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from cardwire.cli.terminal import console
from cardwire.cli.texts import plain, time_text
from shared.core.json_text import EpochMs
from shared.core.targets import shown_target
from shared.feishu.codes import meaning
from worker.ledger.pending import PendingEffect

FOR_MS: Final = 60_000
"""What has waited for less is on its way."""

MOST: Final = 1_000


def run_pending(env: Mapping[str, str], *, as_json: bool) -> None:
    """
    Print what has waited for more than a minute, longest first.

    Raises:
        ConfigError: There is no such ledger.
        LedgerUnavailable: The database cannot be reached.
        SchemaMismatch: It is not this program's.
    """
    only_our_lines()
    url = DatabaseSettings.load(with_files(env, Path.cwd())).ledger.reveal()
    now, waiting = asyncio.run(_waiting(url))
    if as_json:
        for one in waiting:
            typer.echo(json.dumps(_facts(one), ensure_ascii=False))
        return
    _print(now, waiting)
    more = f" (the {MOST} that wait longest)" if len(waiting) == MOST else ""
    typer.echo(f"{len(waiting)} effects have waited for more than a minute{more}")


async def _waiting(url: str) -> tuple[EpochMs, Sequence[PendingEffect]]:
    async with opened(url) as ledger:
        return await ledger.pendings.waiting(for_ms=FOR_MS, limit=MOST)


def _print(now: EpochMs, waiting: Sequence[PendingEffect]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("wanted", "kind", "target", "tried", "last", "next", "card", "id"):
        table.add_column(name, overflow="fold")
    for one in waiting:
        following = time_text(one.due) if one.due > now else "when a worker takes it"
        cells = (
            time_text(one.wanted_at), one.kind, shown_target(one.target), str(one.k), _last(one), following,
            one.message_id or "", f"{one.event_id}/{one.index}",
        )  # fmt: skip
        table.add_row(*(Text(plain(cell)) for cell in cells))
    if waiting:
        console().print(table)


def _last(one: PendingEffect) -> str:
    """Return what came of the last attempt."""
    outcome = one.outcome
    if outcome is None:
        return ""
    code = meaning(outcome.code) or ""
    said = f"code {outcome.code}" if outcome.code else f"HTTP {outcome.http_status}" if outcome.http_status else ""
    return ": ".join(text for text in (outcome.reason, said, code) if text)


def _facts(one: PendingEffect) -> dict[str, object]:
    told: dict[str, object] = {
        "id": f"{one.event_id}/{one.index}",
        "app_id": one.app_id,
        "kind": one.kind,
        "target": shown_target(one.target),
        "message_id": one.message_id,
        "wanted_at": one.wanted_at,
        "tries": one.k,
        "due": one.due,
    }
    if one.outcome is not None:
        names = ("reason", "code", "http_status", "log_id")
        told |= {name: value for name in names if (value := getattr(one.outcome, name)) is not None}
        told |= {"meaning": known} if (known := meaning(one.outcome.code)) is not None else {}
    return told
