"""Kafka goes away under load and comes back: everybody is answered in time, and every accepted click is in the log."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from shared.core.codec import decode
from shared.core.events import InteractionReceived
from shared.eventlog.kafka.options import KafkaOptions
from shared.eventlog.port import Topics
from shared.eventlog.sqlite.file import REAL, Disk
from shared.eventlog.sqlite.log import SqliteLog
from shared.observability.metrics import SPILLED
from tests.support.callbacks import click, encrypted, signed
from tests.support.clicking import ACCEPTED, IN_TIME_S, PATIENCE_S, Place, assert_in_order, drained
from tests.support.kafka import KafkaBroker, KafkaCluster, free_ports
from tests.support.spilling import spills_in, until
from tests.support.tries import best_of, in_time

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def place(kafka_broker: KafkaBroker, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """A place of this test's own."""
    return Place(bootstrap=kafka_broker.bootstrap, prefix=f"s{time.time_ns()}.", spill=tmp_path / "spill")


@pytest.mark.parametrize("fault", ["frozen", "killed", "stopped"])
async def test_an_outage_under_load_costs_nobody_an_answer_and_no_click(
    kafka_broker: KafkaBroker, tmp_path: Path, fault: str
) -> None:
    """100 clicks/s: all are accepted within 2.5 s and in the log afterwards, in order; the breaker closes by itself."""

    async def attempt(number: int) -> None:
        # Broker, clicks and spill share one disk with whatever else is tested: it may take a second for a commit.
        await asyncio.to_thread(kafka_broker.recover)
        prefix = f"s{time.time_ns()}."
        place = Place(bootstrap=kafka_broker.bootstrap, prefix=prefix, spill=tmp_path / str(number))
        await _outage(kafka_broker, place, fault)

    await best_of(attempt)


async def _outage(kafka_broker: KafkaBroker, place: Place, fault: str) -> None:
    await place.make_topics()
    break_it = {"frozen": kafka_broker.pause, "killed": kafka_broker.kill, "stopped": kafka_broker.stop}[fault]
    async with place.gateway() as (running, people):
        clicking = asyncio.create_task(people.click_for(16))
        await asyncio.sleep(2)
        await asyncio.to_thread(break_it)
        await asyncio.sleep(10 if fault == "frozen" else 4)
        assert await running.is_ready()
        await asyncio.to_thread(kafka_broker.recover)
        await clicking
        await drained(running)
        after = await people.click("last", "om_0")
        spilled = running.metrics.value(SPILLED, "spilled")
    received, answered = await place.logged()
    logged, marked = ({event.event_id for event in told} for told in (received, answered))
    assert {200} == {told.status for told in people.told}
    assert IN_TIME_S >= max(told.seconds for told in people.told)
    assert spilled > 0
    assert people.accepted() <= logged
    assert_in_order(received, people.told)
    repeated = sum(count - 1 for count in Counter(event.event_id for event in received).values())
    assert repeated <= len(people.told) / 2
    assert [] == spills_in(place.spill)
    refused = [told for told in people.told if not told.is_accepted]
    in_time(holds=not refused and after.seconds < 1, what=(refused, after))
    assert people.accepted() == logged == marked


@pytest.mark.parametrize("fault", ["frozen", "killed"])
async def test_one_of_three_brokers_that_goes_costs_nobody_an_answer(
    kafka_cluster: KafkaCluster, tmp_path: Path, fault: str
) -> None:
    """Others lead its partitions after a while; until then clicks go to the spill, and afterwards to the log."""
    place = Place(bootstrap=kafka_cluster.bootstrap, prefix=f"c{time.time_ns()}.", spill=tmp_path / "spill")
    await place.make_topics()
    gone = kafka_cluster.brokers[0]
    async with place.gateway() as (running, people):
        clicking = asyncio.create_task(people.click_for(20))
        await asyncio.sleep(2)
        await asyncio.to_thread(gone.pause if fault == "frozen" else gone.kill)
        await clicking
        await drained(running)  # with two of three
        assert (await people.click("last", "om_0")).is_accepted
    await asyncio.to_thread(gone.recover)
    received, answered = await place.logged()
    assert {(200, True)} == {(told.status, told.is_accepted) for told in people.told}
    assert IN_TIME_S >= max(told.seconds for told in people.told)
    assert people.accepted() == {event.event_id for event in received} == {mark.event_id for mark in answered}
    assert_in_order(received, people.told)


async def test_a_broker_that_stutters_reorders_no_card(kafka_broker: KafkaBroker, place: Place) -> None:
    """Frozen again and again for about as long as the log is waited for: each time some appends just fail."""
    await place.make_topics()
    chance = random.Random(7)
    async with place.gateway() as (running, people):
        clicking = asyncio.create_task(people.click_for(20, per_s=100))
        for _ in range(9):
            await asyncio.sleep(0.6)
            await asyncio.to_thread(kafka_broker.pause)
            await asyncio.sleep(chance.uniform(0.85, 1.35))
            await asyncio.to_thread(kafka_broker.resume)
        await clicking
        await drained(running)
    received, answered = await place.logged()
    assert {True} == {told.is_accepted for told in people.told}
    assert IN_TIME_S >= max(told.seconds for told in people.told)
    assert people.accepted() == {event.event_id for event in received} == {mark.event_id for mark in answered}
    assert_in_order(received, people.told)


async def test_clicks_that_never_cease_do_not_keep_the_breaker_open(kafka_broker: KafkaBroker, place: Place) -> None:
    """It closes while people go on clicking, and nothing passes what was spilled."""
    await place.make_topics()
    async with place.gateway() as (running, people):
        clicking = asyncio.create_task(people.click_for(12, per_s=200))
        await asyncio.sleep(1)
        await asyncio.to_thread(kafka_broker.pause)
        await asyncio.sleep(3)
        await asyncio.to_thread(kafka_broker.resume)
        await drained(running)
        assert not clicking.done()
        await clicking
    received, _ = await place.logged()
    assert people.accepted() == {event.event_id for event in received} == {told.event_id for told in people.told}
    assert_in_order(received, people.told)


async def test_a_gateway_starts_accepts_and_drains_without_a_broker(kafka_broker: KafkaBroker, place: Place) -> None:
    """It is ready, accepts, and stopped with all in its spill; the next one brings it to the broker that comes."""
    await place.make_topics()
    await asyncio.to_thread(kafka_broker.kill)
    async with place.gateway() as (running, people):
        assert await running.is_ready()
        await people.click_for(1, per_s=20)
        assert {True} == {told.is_accepted for told in people.told}
        assert IN_TIME_S >= max(told.seconds for told in people.told)
    assert 1 == len(spills_in(place.spill))
    async with place.gateway() as (running, late):
        first = await late.click("while draining", "om_1")
        assert first.is_accepted
        await asyncio.to_thread(kafka_broker.recover)
        await drained(running)
        await until(lambda: len(spills_in(place.spill)) == 1, patience_s=PATIENCE_S)
    received, answered = await place.logged()
    assert people.accepted() | late.accepted() == {event.event_id for event in received}
    assert people.accepted() | late.accepted() == {mark.event_id for mark in answered}
    assert [] == spills_in(place.spill)


async def test_a_full_spill_is_told_and_loses_nothing_that_it_took(kafka_broker: KafkaBroker, place: Place) -> None:
    """On a disk without room: honest answers, no 5xx; what was accepted is in the log afterwards."""
    await place.make_topics()
    await asyncio.to_thread(kafka_broker.pause)
    async with place.gateway(disk=Disk(max_pages=120)) as (running, people):
        await people.click_for(4)
        full = [told for told in people.told if not told.is_accepted]
        assert {200} == {told.status for told in people.told}
        assert IN_TIME_S >= max(told.seconds for told in people.told)
        assert full
        assert people.accepted()
        assert not await running.is_ready()
        await asyncio.to_thread(kafka_broker.resume)
        await drained(running)
        assert (await people.click("last", "om_0")).is_accepted
        assert await running.is_ready()
    received, _ = await place.logged()
    assert set() == people.accepted() - {event.event_id for event in received}


async def test_a_slow_disk_is_still_in_time(kafka_broker: KafkaBroker, place: Place) -> None:
    """10 ms more for each commit while the log is away: groups share them."""
    await place.make_topics()
    await asyncio.to_thread(kafka_broker.pause)
    async with place.gateway(disk=Disk(before_commit=lambda: time.sleep(0.01))) as (running, people):
        await people.click("trips", "om_0")
        await people.click_for(3)
        assert {True} == {told.is_accepted for told in people.told}
        assert 0.5 >= sorted(told.seconds for told in people.told)[-10]
        await asyncio.to_thread(kafka_broker.resume)
        await drained(running)
    received, _ = await place.logged()
    assert people.accepted() == {event.event_id for event in received}


async def test_what_the_brokers_refuse_for_good_is_parked_and_blocks_nothing(
    kafka_broker: KafkaBroker, place: Place
) -> None:
    """A spilled click that is too large for the topic is kept for a person; those around it are in the log."""
    await place.make_topics(KafkaOptions(max_record_bytes=20_000))
    await asyncio.to_thread(kafka_broker.pause)
    async with place.gateway() as (running, people):
        await people.click("before", "om_0")
        big = signed(
            encrypted(click("big", message_id="om_0", value={"action": "follow_up", "text": "x" * 30_000})),
            at=time.time_ns() // 1_000_000,
        )
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{running.url}/card", data=big.body, headers=big.headers) as response,
        ):
            assert ACCEPTED in await response.text()
        await people.click("after", "om_0")
        await asyncio.to_thread(kafka_broker.resume)
        await drained(running)
        assert 1 == running.metrics.value(SPILLED, "rejected")
    received, _ = await place.logged()
    assert {"before", "after"} == {event.event_id for event in received}
    parked = SqliteLog(place.spill / "spill_rejected.db", topics=Topics(interactions="spill_rejected"), partitions=1)
    (kept,) = await parked.read("spill_rejected", 0, 0, limit=10)
    await parked.close()
    assert place.topics.interactions.encode() == dict(kept.headers)["spill_topic"]
    assert b"refuse" in dict(kept.headers)["rejected_reason"]
    event = decode(kept.headers, kept.value)
    assert isinstance(event, InteractionReceived)
    assert "big" == event.event_id


@pytest.mark.parametrize(
    ("bound", "most", "holds"),
    [("CARDWIRE_SPILL_MAX_ROWS", "9", range(4, 10)), ("CARDWIRE_SPILL_MAX_MB", "1", range(200, 1_500))],
)
async def test_a_spill_takes_as_much_as_the_settings_say(tmp_path: Path, bound: str, most: str, holds: range) -> None:
    """And whoever clicks then is told that it may not have been recorded. A click makes two records."""
    place = Place(bootstrap=f"127.0.0.1:{free_ports(1)[0]}", prefix="full.", spill=tmp_path / "spill")
    async with place.gateway(disk=REAL, **{bound: most}) as (_, people):
        while len(people.told) == len(people.accepted()):
            await asyncio.gather(*[people.click(f"e{len(people.told)}-{n}", f"om_{n}") for n in range(holds.start)])
        assert {200} == {told.status for told in people.told}
        assert len(people.accepted()) in holds
