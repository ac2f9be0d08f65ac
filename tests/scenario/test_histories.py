"""
Log and ledger that do not tell the same history: refused or reported at start, and nothing is sent twice.

Each story plays one click first, so that there is something that could be done twice.
"""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from structlog.testing import capture_logs

from shared.core.errors import StartRefused
from shared.core.events import InteractionAnswered, InteractionReceived
from shared.eventlog.memory import MemoryLog
from shared.eventlog.open import open_log
from shared.eventlog.port import PARTITIONS, NewRecord, Topics
from tests.scenario.handlers import BLANK, COUNT, PATCH, SEND, app_of_stories
from tests.support import facts
from tests.support.event_logs import KafkaBackend, SqliteBackend
from tests.support.postgres import Databases
from tests.support.world import Stack, World, files, services, world
from worker.ledger.open import open_ledger
from worker.ledger.port import SchemaMismatch


@dataclass(kw_only=True)
class Past:
    """A world whose only worker has decided and done something, and has gone."""

    running: World
    chat_id: str
    message_id: str
    calls: int = 0

    async def click(self, value: object = COUNT) -> None:
        """Click the card."""
        seen = await self.running.simulator.click(self.message_id, value)
        assert (200, None) == (seen.status, seen.client_error)

    async def play(self, *values: object) -> None:
        """Click the card, once for each value, and let a worker do everything about it and go."""
        async with self.running.worker():
            for value in values:
                await self.click(value)
            await self.running.quiet()
        self.calls = len(self.running.calls())

    async def is_refused(self, saying: str, env: Mapping[str, str] = MappingProxyType({}), **other: Any) -> None:
        """Fail unless a worker that starts is refused with these words, and calls nobody."""
        with pytest.raises((StartRefused, SchemaMismatch), match=saying):
            async with self.running.worker(env, **other):
                pass
        assert self.calls == len(self.running.calls())

    def shown(self) -> int:
        """Return the number that the card shows; 0 for a blank one."""
        card = self.running.simulator.platform.message(self.message_id).card
        return int(card.text.partition('"n":')[2].partition(",")[0] or 0) if card else 0


@asynccontextmanager
async def past(stack: Stack) -> AsyncIterator[Past]:
    """Run a world in which a text was sent and a card was changed, and everything was told."""
    async with world(stack, app_of_stories(), workers=0) as running:
        chat_id = await running.chat()
        story = Past(running=running, chat_id=chat_id, message_id=running.simulator.put_card(chat_id, BLANK))
        await story.play({"action": "text", "text": "once"}, COUNT)
        yield story


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A stack, and what only it knows how to do."""

    stack: Stack
    empty: Callable[[], Awaitable[str]]
    copy: Callable[[str], str]
    forget: Callable[[str, int, int], Awaitable[None]]


@pytest.fixture
def storage(stack: Stack, request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """The storage that the test runs on."""
    if stack.ledger.startswith("sqlite"):
        return _of_files(stack, tmp_path)
    return _of_services(stack, request.getfixturevalue("postgres"), request.getfixturevalue("kafka"))


def _of_files(stack: Stack, folder: Path) -> Storage:
    async def empty() -> str:
        return f"sqlite:///{folder / 'empty.db'}"

    def copy(url: str) -> str:
        path = url.removeprefix("sqlite:///")
        return f"sqlite:///{shutil.copy(path, folder / 'yesterday.db')}"

    async def forget(topic: str, partition: int, before: int) -> None:
        await SqliteBackend(folder).forget(topic, partition, before=before)

    return Storage(stack=stack, empty=empty, copy=copy, forget=forget)


def _of_services(stack: Stack, databases: Databases, kafka: str) -> Storage:
    async def empty() -> str:
        url = databases.create()
        ledger = open_ledger(url)
        await ledger.upgrade()
        await ledger.close()
        return url

    async def forget(topic: str, partition: int, before: int) -> None:
        await KafkaBackend(kafka).forget(topic, partition, before=before)

    return Storage(stack=stack, empty=empty, copy=lambda url: databases.create(template=url), forget=forget)


async def test_an_empty_ledger_on_a_log_with_decisions_is_refused(storage: Storage) -> None:
    """A lost database is noticed before any of the old clicks is decided once more."""
    async with past(storage.stack) as story:
        await story.is_refused("restore its backup", {"CARDWIRE_LEDGER": await storage.empty()})


async def test_a_ledger_restored_from_yesterday_is_refused(storage: Storage) -> None:
    """A backup that lacks today's decisions would decide and send them again."""
    async with past(storage.stack) as story:
        await story.running.ledger.close()  # a database is copied while nobody is connected
        yesterday = storage.copy(storage.stack.ledger)
        await story.play(COUNT)
        assert 2 == story.shown()
        await story.is_refused("restore its backup", {"CARDWIRE_LEDGER": yesterday})


async def test_a_ledger_copied_after_the_last_decision_goes_on(storage: Storage) -> None:
    """A complete backup is as good as the original: nothing is refused, nothing done again."""
    async with past(storage.stack) as story:
        await story.running.ledger.close()
        copied = storage.copy(storage.stack.ledger)
        async with story.running.worker({"CARDWIRE_LEDGER": copied}):
            await story.click()
            await story.running.until(lambda: story.shown() == 2)
        assert 1 == len(story.running.calls(SEND))
        assert 2 == len(story.running.calls(PATCH))


async def test_a_re_created_topic_that_is_shorter_is_refused(storage: Storage, tmp_path: Path) -> None:
    """The ledger's position lies beyond the end: clicks would be passed over until the log had grown."""
    async with past(storage.stack) as story, other_topics(storage.stack, tmp_path) as (env, _):
        await story.is_refused("re-created or truncated", env)


async def test_a_re_created_topic_with_other_records_is_refused(storage: Storage, tmp_path: Path) -> None:
    """The record before the position is not the one decided there, although the topic is long enough."""
    async with past(storage.stack) as story, other_topics(storage.stack, tmp_path) as (env, append):
        for number in range(20):
            await append(facts.click(f"other-{number}", message_id=story.message_id))
        await story.is_refused("holds another record", env)


@asynccontextmanager
async def other_topics(
    stack: Stack, folder: Path
) -> AsyncIterator[tuple[dict[str, str], Callable[[InteractionReceived], Awaitable[None]]]]:
    """Return settings that name new, empty topics, and a function that appends clicks to them."""
    other = replace(stack, log=f"sqlite:///{folder / 'other' / 'log.db'}")
    if stack.log.startswith("kafka"):
        other = replace(stack, prefix=f"{stack.prefix}other.")
    topics = Topics.prefixed(other.prefix)
    log = open_log(other.log, topics=topics)
    await log.create([topics.interactions, topics.outcomes, topics.dead])

    async def append(click: InteractionReceived) -> None:
        record = facts.record(click)
        await log.append(
            [NewRecord(topic=topics.interactions, key=record.key, value=record.value, headers=record.headers,
                       timestamp=record.timestamp)]
        )  # fmt: skip

    try:
        yield other.env(), append
    finally:
        await log.close()


@pytest.mark.kafka
@pytest.mark.postgres
async def test_a_topic_that_was_given_more_partitions_is_refused(kafka: str, postgres_url: str) -> None:
    """With other partitions the keys move, and one card would be decided in two places."""
    async with past(services(kafka, postgres_url)) as story:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        await admin.create_partitions({story.running.topics.interactions: NewPartitions(2 * PARTITIONS)})
        await admin.close()
        await story.is_refused("24 partitions, the ledger was begun with 12")


async def test_a_log_with_fewer_partitions_is_refused(tmp_path: Path) -> None:
    """The ledger of another deployment, or a log made anew with another number."""
    async with past(files(tmp_path)) as story:
        fewer = MemoryLog(partitions=6)
        await fewer.create([story.running.topics.interactions])
        await story.is_refused("6 partitions, the ledger was begun with 12", event_log=fewer)


async def test_what_retention_deleted_before_it_was_decided_is_reported(storage: Storage) -> None:
    """Two clicks are lost and loudly said to be; the worker goes on with the next one and repeats nothing."""
    async with past(storage.stack) as story:
        await story.click()
        await story.click()
        running = story.running
        topic = running.topics.interactions
        await running.until(lambda: _has_marks(running, 4))
        partition, span = next((p, span) for p, span in (await running.event_log.spans(topic)).items() if span.end)
        await storage.forget(topic, partition, span.end)
        with capture_logs() as lines:
            async with running.worker():
                await story.click()
                await running.quiet()
                await running.check()
        assert [{"partition": partition, "begin": span.end}] == [
            {"partition": line["partition"], "begin": line["begin"]}
            for line in lines
            if line["event"] == "records_lost_to_retention" and line["log_level"] == "error"
        ]
        assert 2 == story.shown()
        assert 1 == len(running.calls(SEND))
        assert 2 == len(running.calls(PATCH))


async def _has_marks(running: World, wanted: int) -> bool:
    events = await running.events(running.topics.interactions)
    return wanted == sum(isinstance(event, InteractionAnswered) for event in events)


async def test_clicks_logged_before_the_first_worker_ever_are_decided(storage: Storage) -> None:
    """An empty ledger on a log without decisions is a first start: it begins at the beginning."""
    async with world(storage.stack, app_of_stories(), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        for _ in range(3):
            await running.simulator.click(message_id, COUNT)
        await running.start_worker()
        await running.quiet()
        assert '"n":3' in str(running.simulator.platform.message(message_id).card)
        await running.check()


@pytest.mark.kafka
@pytest.mark.postgres
async def test_without_topics_the_command_that_makes_them_is_named(kafka: str, postgres_url: str) -> None:
    """On Kafka nothing is made by itself; a wrong prefix must not start a second history."""
    async with past(services(kafka, postgres_url)) as story:
        await story.is_refused("cardwire topics create", {"CARDWIRE_TOPIC_PREFIX": "nobody-made-these."})


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "saying"),
    [
        pytest.param("DROP TABLE alembic_version", "no tables yet: run `cardwire db upgrade`", id="missing"),
        pytest.param("UPDATE alembic_version SET version_num = '0000'", "run `cardwire db upgrade`", id="too old"),
        pytest.param("UPDATE alembic_version SET version_num = '9999'", "upgrade Cardwire here", id="too new"),
    ],
)
async def test_a_schema_that_is_not_this_programs_is_refused(
    tmp_path: Path, postgres_url: str, change: str, saying: str
) -> None:
    """The line names the command that mends it; the database is left as it is and nobody is called."""
    async with past(replace(files(tmp_path), ledger=postgres_url)) as story:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute(change)
        await connection.close()
        await story.is_refused(saying)
