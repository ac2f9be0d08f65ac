"""Where dead letters are kept, ledger and log of a deployment: to look at them, and to have them tried again."""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cardwire.cli.ledgers import opened
from cardwire.cli.letters import Letter, Wish, in_order, of_effect, of_input, of_record, with_turns
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from shared.core.codec import encode
from shared.core.events import RedriveRequested
from shared.core.ids import MessageId, TenantKey
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, NewRecord, Topics
from shared.settings import LogSettings, load, section
from worker.ledger.decided import ClaimKey
from worker.ledger.leased import EffectKey
from worker.settings import ledger_url

if TYPE_CHECKING:
    from worker.ledger.sql_ledger import SqlLedger

PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DlqSettings:
    """Where ledger and log are."""

    ledger: Secret = ledger_url()
    log: LogSettings = section(LogSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Ledger and log of a deployment."""

    ledger: "SqlLedger"
    log: EventLog
    topics: Topics

    async def letters(self, wish: Wish) -> list[Letter]:
        """Return the dead letters that are meant, oldest first; with ids also what is handled already."""
        found: list[Letter] = []
        if wish.kind in {None, "handler"}:
            found += with_turns(map(of_input, await self.ledger.failures.inputs()))
        if wish.kind in {None, "effect"}:
            found += map(of_effect, await self.ledger.failures.effects())
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
        kept = await self.ledger.failures.body(key)
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
                await self.ledger.failures.redrive(effects, topic=self.topics.outcomes)
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


@asynccontextmanager
async def kept(env: Mapping[str, str]) -> AsyncIterator[Kept]:
    """
    Open the ledger and the log that the settings name, as long as the block lasts.

    Raises:
        ConfigError: A setting is malformed, or there is no such ledger.
        LedgerUnavailable, LogUnavailable: They cannot be reached.
        SchemaMismatch: The database is not this program's.
    """
    only_our_lines()
    settings = load(DlqSettings, with_files(env, Path.cwd()))
    topics = Topics.prefixed(settings.log.topic_prefix)
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(opened(settings.ledger.reveal()))
        event_log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
        stack.push_async_callback(event_log.close)
        yield Kept(ledger=ledger, log=event_log, topics=topics)


def _request(letter: Letter, card: MessageId | None, now: EpochMs) -> RedriveRequested:
    return RedriveRequested(
        event_id=letter.event_id,
        n=(letter.redrives or 0) + 1,
        app_id=letter.app_id,
        tenant_key=TenantKey(""),
        message_id=card,
        requested_at=now,
    )
