"""
Where a card's story is looked up: in the ledger, or as far as the log tells it.

The ledger knows what waits and for what, and the log every version; where there is no ledger, the log is asked, and
that is said.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import typer

from cardwire.cli.card_in_log import others
from cardwire.cli.database import DatabaseSettings
from cardwire.cli.ids import Of, expect
from cardwire.cli.ledgers import NoLedger, opened
from cardwire.cli.moments import Moment
from cardwire.cli.run import with_files
from cardwire.cli.verify import NoLog
from shared.core.errors import CardwireError, ConfigError, LedgerUnavailable, LogUnavailable
from shared.core.ids import AppId, MessageId
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from shared.settings import LogSettings, load, section
from worker.history.card import logged_of_card
from worker.history.card_folded import history_of
from worker.history.card_history import CardHistory
from worker.history.half import no_topic
from worker.history.replay import replay
from worker.history.wish import Wish
from worker.settings import settle_ms

Source = Literal["ledger", "log"]

EXAMPLE: Final = "om_dc13264520392913993dd051dba21dcf"

REQUEST: Final = "req/"
"""So begins the event id of a request, as `cardwire send` prints it."""

_ID: Final = re.compile(r"[!-~]{1,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInLogSettings:
    """Where the log is, and what a worker waits for."""

    log: LogSettings = section(LogSettings)
    settle_ms: int = settle_ms()


class NoSuchCard(CardwireError):
    """Nobody knows of the card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    Which card, and how it is told.

    Attributes:
        message_id: The card; ``None``: that of the request `request_id`.
        last: How many of its clicks, newest first.
        from_log: From the log, also where a ledger is there.
        show_values: Also how its versions differ, which only the log knows.
    """

    message_id: str | None
    request_id: str | None = None
    app_id: str | None = None
    last: int = 100
    from_log: bool = False
    show_values: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a card, from where, and what only the log tells of it."""

    source: Source
    history: CardHistory
    others: Sequence[Moment] = ()


def look_up(env: Mapping[str, str], asked: Asked) -> Sequence[Known]:
    """
    Return what is known of a card: of each app that knows it, or of one.

    Raises:
        ConfigError: Something given is not as expected.
        NoSuchCard: Nobody knows it.
        LedgerUnavailable, LogUnavailable: They cannot be reached.
        SchemaMismatch: The database is not this program's.
    """
    if asked.message_id is not None and asked.message_id.startswith(REQUEST):
        asked = replace(asked, message_id=None, request_id=asked.message_id)
    _check_given(asked)
    env = with_files(env, Path.cwd())
    wants_log = asked.from_log or asked.show_values or asked.message_id is None
    return asyncio.run(_of_log(env, asked) if wants_log else _of_either(env, asked))


def _check_given(asked: Asked) -> None:
    if asked.message_id is None and asked.request_id is None:
        raise ConfigError(
            f"MESSAGE_ID is missing: expected a card's open_message_id, for example cardwire card {EXAMPLE}, "
            "or --request-id"
        )
    if asked.message_id is not None:
        _check("MESSAGE_ID", asked.message_id, "card", f"cardwire card {EXAMPLE}")
    if asked.app_id is not None:
        _check("--app", asked.app_id, "app", "--app cli_a1b2c3d4e5f60718")


async def _of_either(env: Mapping[str, str], asked: Asked) -> Sequence[Known]:
    """Ask the ledger; where there is none, the log, and say so."""
    try:
        return await _of_ledger(env, asked)
    except (NoLedger, LedgerUnavailable) as without:
        try:
            known = await _of_log(env, asked)
        except (ConfigError, LogUnavailable, NoLog):
            raise without from None
        typer.echo("cardwire: the ledger cannot be asked: told from the log", err=True)
        return known


async def _of_ledger(env: Mapping[str, str], asked: Asked) -> Sequence[Known]:
    url = DatabaseSettings.load(env).ledger.reveal()
    of = None if asked.app_id is None else AppId(asked.app_id)
    async with opened(url) as ledger:
        histories = await ledger.histories.of_card(MessageId(asked.message_id or ""), app_id=of, limit=asked.last)
    if not histories:
        raise _unknown("ledger", asked)
    return [Known(source="ledger", history=history) for history in histories]


async def _of_log(env: Mapping[str, str], asked: Asked) -> Sequence[Known]:
    settings = load(CardInLogSettings, env)
    topics = Topics.prefixed(settings.log.topic_prefix)
    event_log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
    of = None if asked.app_id is None else AppId(asked.app_id)
    try:
        if not await event_log.spans(topics.interactions):
            raise NoLog(no_topic(topics.interactions))
        cards = await _meant(event_log, topics, asked)
        found = [(card, await logged_of_card(event_log, topics, card, app_id=of)) for card in cards]
    finally:
        await event_log.close()
    now = time.time_ns() // 1_000_000
    known = [
        Known(
            source="log",
            history=history_of(app_id, card, logged, now=now, last=asked.last, settle_ms=settings.settle_ms),
            others=others(card, logged, with_values=asked.show_values),
        )
        for card, by_app in found
        for app_id, logged in sorted(by_app.items())
    ]
    if not known:
        raise _unknown("log", asked)
    return known


async def _meant(event_log: EventLog, topics: Topics, asked: Asked) -> Sequence[MessageId]:
    """Return the card that is named, or those that a request was about or sent."""
    if asked.message_id is not None:
        return [MessageId(asked.message_id)]
    by_event = (asked.request_id or "").startswith(REQUEST)
    given = Wish(event_id=asked.request_id) if by_event else Wish(request_id=asked.request_id)
    wish = replace(given, app_id=asked.app_id)
    found = await replay(event_log, topics, wish)
    try:
        moments = [moment for story in found.stories() for moment in story]
        cards = {each for one in moments for each in (one.message_id, one.facts.get("sent_message_id"))}
    finally:
        found.close()
    return [MessageId(card) for card in sorted(card for card in cards if isinstance(card, str))]


def _unknown(source: Source, asked: Asked) -> NoSuchCard:
    if asked.message_id is None:
        return NoSuchCard(
            f"the log knows no card of the request {asked.request_id}: expected a callback's X-Request-Id, or the id "
            "of a request, for example cardwire card --request-id invoice-1042"
        )
    whose = "" if asked.app_id is None else f" of the app {asked.app_id}"
    waits = "" if source == "log" else f"; what no worker has decided yet is told by cardwire card --from-log {EXAMPLE}"
    return NoSuchCard(
        f"the {source} knows no card {asked.message_id}{whose}: expected a card that was clicked, or that Cardwire "
        f"sent, for example cardwire card {EXAMPLE}{waits}"
    )


def _check(what: str, given: str, of: Of, example: str) -> None:
    if not _ID.fullmatch(given):
        raise ConfigError(f"{what} is malformed: expected an id of the platform's, for example {example}")
    expect(what, given, of, example=example)
