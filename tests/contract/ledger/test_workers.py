"""
Several workers on one ledger: nothing is lost, nothing is done twice, nobody waits for ever (worker/ledger/port.py).

Deciders and pumps run at once on the database's own clock, each with connections of its own, and meet on shared
chats. A lost wake-up would leave an effect pending at a target that is not due: then the pumps find nothing more to
do, and the effect is found in the end. A deadlock would be an error of one of them.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import pytest

from shared.core.ids import EventId
from tests.contract.ledger.words import (
    Decider,
    Opener,
    applied,
    claim,
    effect,
    lease,
    mark,
    on,
    performed,
    settling,
    waiting,
)
from tests.support.dump import dump
from worker.ledger.decided import ClaimKey, Move, Write
from worker.ledger.leased import Beginning, EffectKey, Leased, Settlement
from worker.ledger.port import Fenced
from worker.ledger.sql_ledger import SqlLedger

pytestmark = pytest.mark.slow

CHATS = 6
TTL_MS = 30_000
_SHARED = ["a", "b", "c", "z"]


class Pump:
    """Takes what is due, counts what it performs, and settles it, until everything was decided and nothing is due."""

    def __init__(self, ledger: SqlLedger, name: str) -> None:
        self.ledger, self.name = ledger, name
        self.performed: Counter[EffectKey] = Counter()

    async def run(self, decided: asyncio.Event) -> None:
        """Work until the deciders are done and nothing is due any more."""
        while True:
            last = decided.is_set()
            found = (await lease(self.ledger, self.name, limit=4, ttl_ms=TTL_MS)).targets
            if found:
                await self._perform(found)
            elif last and (await self.ledger.pulse()).next_due is None:
                return
            else:
                await asyncio.sleep(0.002)

    async def _perform(self, found: Sequence[Leased]) -> None:
        now = await self.ledger.now()
        settlements = [self._settlement(leased, now) for leased in found]
        await self.ledger.begun([Beginning(key=change.key) for each in settlements for change in each.changes])
        assert [] == list((await self.ledger.settle(self.name, settlements)).lost)

    def _settlement(self, leased: Leased, now: int) -> Settlement:
        due = [head for head in leased.heads if head.due <= now]
        self.performed.update(head.key for head in due)
        whole = replace(leased, heads=due)
        return performed(whole, applied=applied(due[-1])) if due else performed(whole)


async def _all(ledgers: Sequence[SqlLedger], deciding: Sequence[asyncio.Task[None]]) -> Counter[EffectKey]:
    """Run one pump on each ledger until the deciders are done, and return how often each effect was performed."""
    decided = asyncio.Event()
    pumps = [Pump(ledger, f"pump-{nth}") for nth, ledger in enumerate(ledgers)]
    async with asyncio.TaskGroup() as group:
        for pump in pumps:
            group.create_task(pump.run(decided))
        await asyncio.gather(*deciding)
        decided.set()
    return sum((pump.performed for pump in pumps), Counter[EffectKey]())


async def test_no_wake_up_is_lost(ledger_url: str, opened: Opener) -> None:
    """Work that is stored at the very moment when a pump lets go of its target makes the target due."""
    writer, pump = opened(ledger_url), opened(ledger_url)
    await writer.begin(1)
    decider, chance, targets = Decider(writer), random.Random(1), [f"chat:{nth}" for nth in range(8)]

    async def store(event: str) -> None:
        await asyncio.sleep(chance.uniform(0, 0.004))
        await decider.write(effects=[effect(event, nth, target=each) for nth, each in enumerate(targets)])

    async def let_go(found: Sequence[Leased]) -> None:
        await asyncio.sleep(chance.uniform(0, 0.004))
        await pump.settle("pump", [performed(leased) for leased in found])

    await store("first")
    for number in range(150):
        found = (await lease(pump)).targets
        assert targets == sorted(leased.key.target for leased in found)
        await asyncio.gather(let_go(found), store(f"e{number}"))


async def test_pumps_and_deciders_do_everything_once(ledger_url: str, opened: Opener) -> None:
    """Two deciders store work for two targets again and again while two pumps let go of them."""
    ledgers = [opened(ledger_url) for _ in range(4)]
    await ledgers[0].begin(2)
    rounds = 150

    async def decide(decider: Decider) -> None:
        for number in range(rounds):
            event = f"{decider.partition}-{number}"
            await decider.write(effects=[effect(event, target=f"chat:{number % 2}")])

    deciding = [asyncio.create_task(decide(Decider(ledgers[nth], nth))) for nth in range(2)]
    done = await _all(ledgers[2:], deciding)
    assert {EffectKey(on().app_id, EventId(f"{p}-{n}"), 1): 1 for p in range(2) for n in range(rounds)} == done
    assert {"succeeded"} == {row["status"] for row in (await dump(ledgers[0].database)).effects}


async def test_three_deciders_and_three_pumps_do_not_block_each_other(ledger_url: str, opened: Opener) -> None:
    """Batches with marks on shared chats, targets in any order: every effect is performed once, without an error."""
    ledgers = [opened(ledger_url, None) for _ in range(6)]
    await ledgers[0].begin(3)
    batches, size = 40, 15

    async def decide(decider: Decider, chance: random.Random) -> None:
        before: list[str] = []
        for number in range(batches):
            events = [f"{decider.partition}-{number}-{nth}" for nth in range(size)]
            effects = [
                each
                for event in chance.sample(events, size)
                for each in (
                    waiting(event, 1, target=f"message:om_{decider.partition}_{chance.randrange(8)}"),
                    effect(event, 2, target=f"chat:{chance.randrange(CHATS)}"),
                    effect(event, 3, target=f"chat:{chance.randrange(CHATS)}"),
                )
            ]
            await decider.write(
                claims=[claim(event, partition=decider.partition) for event in events],
                effects=effects,
                marks=[mark(event) for event in before],
            )
            before = chance.sample(events, size)
        await decider.write(marks=[mark(event) for event in before])

    deciding = [asyncio.create_task(decide(Decider(ledgers[nth], nth), random.Random(nth))) for nth in range(3)]
    done = await _all(ledgers[3:], deciding)
    assert 3 * batches * size * 3 == len(done)
    assert {1} == set(done.values())
    held = await dump(ledgers[0].database)
    assert {"succeeded"} == {row["status"] for row in held.effects}
    assert 3 * batches * size == len(held.claims)
    assert 0 == await _deadlocks(ledger_url)


async def test_moving_effects_do_not_block_those_who_wake_their_chat(ledger_url: str, opened: Opener) -> None:
    """Pumps that move effects to shared chats, new and known, meet deciders that store work for these chats."""
    ledgers = [opened(ledger_url) for _ in range(4)]
    await ledgers[0].begin(2)
    rounds = 80

    async def decide_for_unknown_chats(decider: Decider) -> None:
        for number in range(rounds):
            unknown = [f"chat-of:{number}-{chat}" for chat in (*_SHARED, f"new{number}", f"new{number + 1}")]
            event = f"unknown-{number}"
            await decider.write(effects=[effect(event, nth, target=each) for nth, each in enumerate(unknown)])

    async def decide_for_known_chats(decider: Decider) -> None:
        for number in range(rounds):
            known = [*reversed(_SHARED), f"new{number + 2}", f"new{number + 1}"]
            event = f"known-{number}"
            await decider.write(effects=[effect(event, nth, target=f"chat:{each}") for nth, each in enumerate(known)])

    async def move(ledger: SqlLedger, owner: str, decided: asyncio.Event) -> None:
        while True:
            last = decided.is_set()
            found = (await lease(ledger, owner, limit=6, ttl_ms=TTL_MS)).targets
            await ledger.settle(owner, [_moved_or_done(leased) for leased in found])
            if last and not found and (await ledger.pulse()).next_due is None:
                return
            await asyncio.sleep(0)

    decided = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for nth in (2, 3):
            group.create_task(move(ledgers[nth], f"pump-{nth}", decided))
        unknown, known = Decider(ledgers[0], 0), Decider(ledgers[1], 1)
        await asyncio.gather(decide_for_unknown_chats(unknown), decide_for_known_chats(known))
        decided.set()
    assert {("chat:", "succeeded")} == {
        (row["target"][:5], row["status"]) for row in (await dump(ledgers[0].database)).effects
    }
    assert 0 == await _deadlocks(ledger_url)


def _moved_or_done(leased: Leased) -> Settlement:
    if not leased.key.target.startswith("chat-of:"):
        return performed(leased)
    chat = on(f"chat:{leased.key.target.split('-')[-1]}").target
    return settling(
        leased,
        moved=dict.fromkeys((head.key for head in leased.heads), chat),
    )


async def test_a_fenced_worker_disturbs_nobody(ledger_url: str, opened: Opener) -> None:
    """Two workers that both believe in their three partitions: each offset is decided once, whoever wins."""
    ledgers = [opened(ledger_url) for _ in range(2)]
    await ledgers[0].begin(3)

    async def decide(ledger: SqlLedger, name: str) -> int:
        won = 0
        for number in range(60):
            positions = await ledger.positions()
            deciders = [Decider(ledger, partition) for partition in random.Random(number).sample(range(3), 3)]
            moves: list[Move] = []
            for decider in deciders:
                decider.next = positions[decider.partition].next
                moves += decider.batch().moves
            batch = deciders[0].batch(claims=[claim(f"{name}-{number}")])
            try:
                await ledger.write(Write(moves=moves, claims=batch.claims))
            except Fenced:
                continue
            won += 1
        return won

    won = sum(await asyncio.gather(decide(ledgers[0], "a"), decide(ledgers[1], "b")))
    assert {won} == {position.next for position in (await ledgers[0].positions()).values()}
    claimed = await ledgers[0].claimed([ClaimKey(on().app_id, EventId(f"{w}-{n}")) for w in "ab" for n in range(60)])
    assert won == len(claimed)
    assert 0 == await _deadlocks(ledger_url)


async def _deadlocks(url: str) -> int:
    """Return how many deadlocks PostgreSQL has broken in this database."""
    if not url.startswith("postgresql"):
        return 0
    connection = await asyncpg.connect(url)
    try:
        return int(
            await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )
    finally:
        await connection.close()
