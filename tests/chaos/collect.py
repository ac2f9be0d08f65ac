"""The histories are gathered here, when everything is quiet: the simulator's, the log's and the ledger's."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.eventlog.port import EventLog, Topics
from tests.chaos.history import Call, CardSeen, ChatSeen, Delivered, LedgerRow, Line, RuleBroken, Version
from tests.chaos.platform import Platform
from tests.support.dump import dump
from tests.support.fold_equals_ledger import stored
from tests.support.rebuilt_equals_ledger import unlike
from worker.ledger.sql_ledger import SqlLedger

BATCH: Final = 1_000
AT_ONCE: Final = 16


async def lines(log: EventLog, topic: str) -> Sequence[Line]:
    """Return every record of a topic."""
    found: list[Line] = []
    for partition, span in (await log.spans(topic)).items():
        offset = span.begin
        while offset < span.end and (records := await log.read(topic, partition, offset, limit=BATCH)):
            found += map(Line.of, records)
            offset = records[-1].offset + 1
    return found


async def cards(platform: Platform, message_ids: Sequence[str]) -> Sequence[CardSeen]:
    """Return every version of each card."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(message_id: str) -> CardSeen:
        async with slots:
            story = await platform.get(f"messages/{message_id}")
        return CardSeen(
            message_id=message_id, chat_id=story["chat_id"], versions=tuple(map(_version, story["versions"]))
        )

    return await asyncio.gather(*map(one, message_ids))


async def chats(platform: Platform, chat_ids: Sequence[str]) -> Sequence[ChatSeen]:
    """Return the names and texts of each chat."""
    found = []
    for chat_id in chat_ids:
        story = await platform.get(f"chats/{chat_id}")
        messages = await platform.get("messages", chat_id=chat_id)
        found.append(
            ChatSeen(
                chat_id=chat_id,
                names=tuple(given["name"] for given in story["names"]),
                texts=tuple(message["text"] for message in messages if message["text"] is not None),
            )
        )
    return found


async def calls(platform: Platform) -> Sequence[Call]:
    """Return every OpenAPI call that arrived."""
    names = Call.__struct_fields__
    return [
        Call(**{name: call["at_ms" if name == "at" else name] for name in names})
        for call in await platform.pages("calls")
    ]


async def deliveries(platform: Platform) -> Sequence[Delivered]:
    """Return every delivery of a click, as the platform saw it."""
    return [
        Delivered(
            event_id=click["event_id"],
            began_at=click["began_at_ms"],
            ended_at=click["ended_at_ms"],
            status=click["status"],
            client_error=click["client_error"],
        )
        for click in await platform.pages("clicks")
    ]


async def broken(platform: Platform) -> Sequence[RuleBroken]:
    """Return every rule of the platform that was broken."""
    return [
        RuleBroken(at=each["at_ms"], rule=each["rule"], api=each["api"], target=each["target"])
        for each in await platform.get("violations")
    ]


async def ledger_rows(ledger: SqlLedger) -> Sequence[LedgerRow]:
    """Return what the ledger holds, as far as the log can restore it."""
    rows = stored(await dump(ledger.database))
    return [LedgerRow(table=table, key=key, columns=dict(columns)) for (table, key), columns in rows.items()]


async def unlike_rebuilt(platform: Platform, log: EventLog, topics: Topics, ledger: SqlLedger) -> Sequence[str]:
    """Rebuild the ledger from the log and return where it differs from this one; the platform may not hear of it."""
    before = len(await platform.pages("calls"))
    found = await unlike(log, topics, await dump(ledger.database))
    heard = len(await platform.pages("calls")) - before
    return [*found, *([f"{heard} calls arrived while the ledger was rebuilt"] if heard else [])]


def _version(version: Mapping[str, Any]) -> Version:
    return Version(at=version["at_ms"], by=version["by"], card=json.dumps(version["card"], ensure_ascii=False))
