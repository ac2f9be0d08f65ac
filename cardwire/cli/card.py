"""`cardwire card`: one card's story, read from the ledger. Nothing is changed, and nothing of its content is shown."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import typer
from rich.text import Text

from cardwire.cli.database import DatabaseSettings
from cardwire.cli.ids import Of, expect
from cardwire.cli.moments import Moment, What, card_facts, moments
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from cardwire.cli.terminal import console, plain, time_text
from shared.core.errors import CardwireError, ConfigError
from shared.core.ids import AppId, MessageId
from shared.core.json_text import EpochMs
from worker.ledger.history import CardHistory

EXAMPLE: Final = "om_dc13264520392913993dd051dba21dcf"

_ID: Final = re.compile(r"[!-~]{1,256}")
_COLOURS: Final[Mapping[What, str]] = {
    "sent": "bold",
    "clicked": "cyan",
    "requested": "cyan",
    "returned": "cyan",
    "reminded": "cyan",
    "effect": "green",
    "waiting": "yellow",
    "dead_letter": "red",
}


class NoSuchCard(CardwireError):
    """The ledger knows nothing of the card."""


def run_card(env: Mapping[str, str], message_id: str, *, app_id: str | None, last: int, as_json: bool) -> None:
    """
    Print a card's story: of each app that knows it, or of one.

    Args:
        last: How many of its clicks, newest first.

    Raises:
        ConfigError: Something given is not as expected.
        NoSuchCard: The ledger does not know it.
        LedgerUnavailable: The database cannot be reached.
        SchemaMismatch: It is not this program's.
    """
    only_our_lines()
    _check("MESSAGE_ID", message_id, "card", f"cardwire card {EXAMPLE}")
    if app_id is not None:
        _check("--app", app_id, "app", "--app cli_a1b2c3d4e5f60718")
    url = DatabaseSettings.load(with_files(env, Path.cwd())).ledger.reveal()
    _is_there(url)
    of = None if app_id is None else AppId(app_id)
    histories = asyncio.run(_histories(url, MessageId(message_id), of, last))
    if not histories:
        whose = "" if app_id is None else f" of the app {app_id}"
        raise NoSuchCard(
            f"the ledger knows no card {message_id}{whose}: expected a card that was clicked, or that Cardwire sent, "
            f"for example cardwire card {EXAMPLE}"
        )
    for history in histories:
        _print_json(history) if as_json else _print(history)


def _check(what: str, given: str, of: Of, example: str) -> None:
    if not _ID.fullmatch(given):
        raise ConfigError(f"{what} is malformed: expected an id of the platform's, for example {example}")
    expect(what, given, of, example=example)


def _is_there(url: str) -> None:
    """Refuse a file that does not exist: opening it would make one."""
    from worker.ledger.sqlite import sqlite_file

    file = sqlite_file(url) if url.startswith("sqlite:") else None
    if file is not None and not Path(str(file.database)).exists():
        raise ConfigError(
            f"CARDWIRE_LEDGER names {file.database}, where no file is: expected the ledger of a worker, for example "
            "CARDWIRE_LEDGER=sqlite:///cardwire-data/ledger.db"
        )


async def _histories(url: str, message_id: MessageId, app_id: AppId | None, last: int) -> Sequence[CardHistory]:
    from worker.ledger.open import open_ledger

    ledger = open_ledger(url)
    try:
        await ledger.look()
        return await ledger.histories(message_id, app_id=app_id, limit=last)
    finally:
        await ledger.close()


def _print_json(history: CardHistory) -> None:
    typer.echo(json.dumps({"what": "card", "now": history.now, **card_facts(history)}, ensure_ascii=False))
    for one in moments(history):
        told = {"what": one.what, "at": one.at, "event_id": one.event_id, **one.facts}
        typer.echo(json.dumps(told, ensure_ascii=False))


def _print(history: CardHistory) -> None:
    out = console()
    out.print(_headline(history), soft_wrap=True)
    for one in moments(history):
        line = Text.assemble(f"{_time(one.at):<24}  ", (f"{one.what:<11}", _COLOURS[one.what]), "  ", _text(one))
        out.print(line, soft_wrap=True)


def _headline(history: CardHistory) -> Text:
    facts = card_facts(history)
    head = Text.assemble((plain(history.message_id), "bold"), f" of {plain(history.app_id)}, version {history.version}")
    if history.sent_at is not None:
        for word, name in (("clicked", "clickable_until"), ("updated", "updatable_until")):
            until = facts[name]
            head.append(f"\ncan be {word} until {_time(until if isinstance(until, int) else None)}")
    else:
        head.append("\nsent by somebody else, so its age is not known")
    if history.successor is not None:
        head.append(f"\nhad expired, and was followed by {plain(history.successor)}")
    for api, until in history.silent_until.items():
        head.append(f"\nthe platform wants no call of {api} until {_time(until)}", style="yellow")
    for letter in history.letters:
        if letter.parks:
            head.append(f"\nstands still until {plain(letter.event_id)} is decided (cardwire dlq redrive)", style="red")
    if history.tokens:
        left, until = sum(token.uses_left for token in history.tokens), max(token.until for token in history.tokens)
        head.append(f"\nuses left of its clicks' tokens: {left}, the last until {_time(until)}")
    for one in history.suspended:
        head.append(f"\nthe handler {plain(one.handler)} is suspended until {_time(one.until)}", style="red")
    if history.older:
        head.append(f"\n{history.older} older clicks are not shown: --last {len(history.inputs) + history.older}")
    return head


def _text(one: Moment) -> Text:
    text = Text(plain(one.text))
    if one.event_id is not None:
        text.append(f"  {plain(one.event_id)}", style="dim")
    return text


def _time(at: EpochMs | None) -> str:
    return "" if at is None else time_text(at)
