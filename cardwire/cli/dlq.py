"""
`cardwire dlq`: what failed and is kept, and how it is tried again.

It reads the ledger and the dead-letter topic, beside running workers or without them. Nothing that a person typed or a
card says is shown unless ``--body`` asks for it; tokens are masked even then.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from cardwire.cli.ids import expect
from cardwire.cli.kept import Kept, kept
from cardwire.cli.letters import EXAMPLE, KINDS, Letter, Wish, facts, near, out_of_turn
from cardwire.cli.terminal import console
from cardwire.cli.texts import plain, time_text
from shared.core.errors import CardwireError, ConfigError

SECRETS: Final = frozenset({"card_token", "preview_token", "app_ticket", "token"})
MASKED: Final = "***"

_WHYS: Final = 10
"""So many of those that cannot be tried again are named in text; `--json` names all."""


class NoSuchLetter(CardwireError):
    """Nothing of that id, or by that filter, is a dead letter."""


class NothingRedriven(CardwireError):
    """None of what was meant can be tried again."""


def list_letters(env: Mapping[str, str], wish: Wish, *, as_json: bool) -> None:
    """
    Print the dead letters that are meant, oldest first.

    Raises:
        ConfigError: There is no such ledger.
        LedgerUnavailable, LogUnavailable: They cannot be reached.
        SchemaMismatch: The database is not this program's.
    """
    letters = asyncio.run(_letters(env, wish))
    _print(letters, as_json=as_json)
    if as_json:
        return
    counts = ", ".join(f"{sum(each.kind == kind for each in letters)} {kind}" for kind in KINDS)
    typer.echo(f"{len(letters)} dead letters: {counts}")
    for card in dict.fromkeys(letter.message_id for letter in letters if letter.parks and letter.message_id):
        typer.echo(f"{card} stands still; in its order, oldest first: cardwire dlq redrive --card {card}")


def show_letter(env: Mapping[str, str], letter_id: str, *, with_body: bool, as_json: bool) -> None:
    """
    Print a dead letter; by an event's id all that failed of that event, also what is handled already.

    Raises:
        ConfigError: It is an id of another kind.
        NoSuchLetter: It is none.
    """
    expect("ID", letter_id, "event", example=EXAMPLE)

    async def look() -> Sequence[tuple[Letter, Any]]:
        async with kept(env) as place:
            found = await _meant(place, Wish(ids=[letter_id]))
            return [(letter, _masked(await place.body(letter)) if with_body else None) for letter in found]

    for n, (letter, body) in enumerate(asyncio.run(look())):
        told = {**facts(letter), **({"body": body} if with_body else {})}
        if as_json:
            typer.echo(json.dumps(told, ensure_ascii=False))
            continue
        if n:
            typer.echo()
        for name, value in told.items():
            is_time = name in {"at", "redriven_at"}
            text = time_text(value) if is_time else value if isinstance(value, str) else json.dumps(value)
            typer.echo(f"{name:<12} {plain(str(text))}")


def redrive(env: Mapping[str, str], wish: Wish, *, everything: bool, dry_run: bool, as_json: bool) -> None:
    """
    Have dead letters tried again, oldest first.

    Args:
        everything: Said on purpose, where nothing says which are meant.
        dry_run: Only say which.

    Raises:
        ConfigError: It is not said which.
        NoSuchLetter: What is meant is no dead letter; nothing is tried again then.
        NothingRedriven: What is meant cannot be tried again.
        LogUnavailable: Some may have been recorded; redriving again is safe: each is decided once.
    """
    if wish.asks_nothing and not everything:
        raise ConfigError(
            "nothing says which dead letters are meant: expected ids, a filter or --all, for example "
            "cardwire dlq redrive --kind handler --since 2h"
        )
    letters, left = asyncio.run(_redrive(env, wish, dry_run=dry_run, as_json=as_json))
    if dry_run:
        _print(letters, as_json=as_json)
    _tell_left(left, as_json=as_json)
    if as_json:
        told = {"redriven": 0 if dry_run else len(letters), "meant": len(letters), "left": len(left)}
        typer.echo(json.dumps(told))
    else:
        done = "would be redriven" if dry_run else "are tried again by the workers"
        typer.echo(f"{len(letters)} {done}, {len(left)} cannot be")
    if left and not letters and not wish.asks_nothing:
        raise NothingRedriven("none of the dead letters that are meant can be tried again")


async def _redrive(
    env: Mapping[str, str], wish: Wish, *, dry_run: bool, as_json: bool
) -> tuple[Sequence[Letter], Sequence[tuple[Letter, str]]]:
    """Have what is meant tried again, unless it cannot be; return both, the latter with the reasons."""
    async with kept(env) as place:
        meant = await _meant(place, wish)
        left = [(one, why) for one in meant if (why := one.stays or out_of_turn(one, meant)) is not None]
        stay = {letter.id for letter, _ in left}
        able = [letter for letter in meant if letter.id not in stay]
        if not dry_run:
            with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
                task = progress.add_task("redriving", total=len(able))
                await place.redrive(able, lambda n: progress.advance(task, n))
        return able, left


async def _letters(env: Mapping[str, str], wish: Wish) -> Sequence[Letter]:
    async with kept(env) as place:
        return await place.letters(wish)


async def _meant(place: Kept, wish: Wish) -> Sequence[Letter]:
    """Return what is meant; raises `NoSuchLetter` where something that is named is not there."""
    found = await place.letters(wish)
    for one in wish.ids:
        if not any(letter.has(one) for letter in found):
            close = near(one, await place.letters(Wish()))
            instead = f"did you mean {' or '.join(close)}?" if close else "cardwire dlq list shows what is"
            raise NoSuchLetter(f"nothing of the id {plain(one)} is a dead letter: {instead}")
    if not found and not wish.asks_nothing:
        raise NoSuchLetter("nothing that is meant is a dead letter: cardwire dlq list shows what is")
    return found


def _tell_left(left: Sequence[tuple[Letter, str]], *, as_json: bool) -> None:
    """Say on standard error, or as JSON lines, what cannot be tried again, and why."""
    if as_json:
        for letter, why in left:
            typer.echo(json.dumps({**facts(letter), "stays": why}, ensure_ascii=False))
        return
    for letter, why in left[:_WHYS]:
        typer.echo(f"{plain(letter.id)} cannot be: {plain(why)}", err=True)
    if len(left) > _WHYS:
        typer.echo(f"{len(left) - _WHYS} more cannot be: --json names all", err=True)


def _print(letters: Iterable[Letter], *, as_json: bool) -> None:
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(facts(letter), ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("failed", "kind", "what", "reason", "code", "card", "id"):
        table.add_column(name, overflow="fold")
    for letter in letters:
        reason = f"{letter.reason} (its card stands still)" if letter.parks else letter.reason
        if letter.meaning is not None:
            reason = f"{reason}: {letter.meaning}"
        cells = (
            time_text(letter.at), letter.kind, letter.what, reason,
            _answer(letter), letter.message_id or "", letter.id,
        )  # fmt: skip
        table.add_row(*(Text(plain(cell)) for cell in cells))
    console().print(table)


def _answer(letter: Letter) -> str:
    """Return what the platform answered: its code, or the HTTP status where it gave none."""
    if letter.code is not None:
        return str(letter.code)
    return "" if letter.http_status is None else f"HTTP {letter.http_status}"


def _masked(value: Any) -> Any:
    match value:
        case dict():
            return {name: MASKED if name in SECRETS else _masked(part) for name, part in value.items()}
        case list():
            return [_masked(part) for part in value]
        case _:
            return value
