"""What an operator can see of a worker: numbers and lines, each of which names what it is about."""

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord
from shared.observability.metrics import (
    ANSWERED_TO_EFFECT_SECONDS,
    CALLS_UNDER_WAY,
    DECIDE_SECONDS,
    LACKS,
    LAG,
    OLDEST_DUE_SECONDS,
)
from simulator.faults import FaultRule
from tests.scenario.handlers import COUNT, PATCH, app_of_stories
from tests.support.facts import APP, CARD, click, mark
from tests.support.world import World, clock_of_now, files, world
from worker.app import RunningWorker

pytestmark = pytest.mark.slow


async def _shows(running: World, worker: RunningWorker, name: str, value: str) -> None:
    """Wait until the worker's page has a series with this value."""
    await running.until(lambda: f"{name} {value}\n" in worker.metrics.exposition().decode())


async def test_a_worker_at_work_shows_what_it_does(tmp_path: Path) -> None:
    """Nothing lags, nothing lacks, and the calls that it made are a share of the limit."""
    async with world(files(tmp_path), app_of_stories(), clock=clock_of_now()) as running:
        chat_id = await running.chat()
        card = running.simulator.put_card(chat_id, {"config": {"update_multi": True}, "elements": []})
        clicked = click("e1", value=COUNT, message_id=card, chat_id=chat_id)
        await running.append(clicked, mark(clicked))
        await running.quiet()
        (worker,) = running.workers
        use = f'cardwire_budget_use{{api="{PATCH}",app_id="{APP}",window="minute"}}'
        await _shows(running, worker, use, "0.001")
        metrics = worker.metrics
        assert (1, 1) == (metrics.value(DECIDE_SECONDS), metrics.value(ANSWERED_TO_EFFECT_SECONDS))
        assert [0.0] * 12 == [metrics.value(LAG, str(partition)) for partition in range(12)]
        assert metrics.value(OLDEST_DUE_SECONDS) == 0
        assert "cardwire_worker_lacks{" not in metrics.exposition().decode()


async def test_a_worker_shows_how_many_calls_wait_for_the_platform(tmp_path: Path) -> None:
    """A platform that is slow is seen before there is no room for another call."""
    async with world(files(tmp_path), app_of_stories(), clock=clock_of_now()) as running:
        chat_id = await running.chat()
        card = running.simulator.put_card(chat_id, {"config": {"update_multi": True}, "elements": []})
        running.simulator.faults.set(1, [FaultRule(path="/open-apis/im/*", kind="delay", p=1.0, ms=300)])
        clicked = click("e1", value=COUNT, message_id=card, chat_id=chat_id)
        await running.append(clicked, mark(clicked))
        (worker,) = running.workers
        await running.until(lambda: worker.metrics.value(CALLS_UNDER_WAY, "platform") == 1)
        await running.quiet()
        await running.until(lambda: worker.metrics.value(CALLS_UNDER_WAY, "platform") == 0)
        assert worker.metrics.value(CALLS_UNDER_WAY, "own") == 0


async def test_a_worker_that_stands_still_says_why_and_how_far_behind_it_is(tmp_path: Path) -> None:
    """A newer program's record is in its way: what is behind that counts as lag."""
    async with world(
        files(tmp_path), app_of_stories(), workers=0, shared_log=MemoryLog(), clock=clock_of_now()
    ) as running:
        newer = NewRecord(
            topic=running.topics.interactions,
            key=f"{APP}:{CARD}",
            value=b"{}",
            headers=(("ce_type", b"lark.card.interaction.imagined.v1"),),
            timestamp=0,
        )
        await running.event_log.append([newer])
        await running.append(click("behind"))
        worker = await running.start_worker()
        await _shows(running, worker, 'cardwire_worker_lacks{lack="newer_record"}', "1.0")
        assert 2 == sum(worker.metrics.value(LAG, str(partition)) for partition in range(12))
        assert worker.metrics.value(LACKS, "ledger_away") == 0


async def test_each_click_and_each_effect_has_one_line(tmp_path: Path) -> None:
    """They are found by the same names as the gateway's line, and tell how long each took."""
    with capture_logs() as lines:
        async with world(files(tmp_path), app_of_stories()) as running:
            chat_id = await running.chat()
            card = running.simulator.put_card(chat_id, {"config": {"update_multi": True}, "elements": []})
            clicked = [click(f"e{n}", value=COUNT, message_id=card, chat_id=chat_id) for n in range(3)]
            await running.append(*clicked, click("e9", value={"action": "nobody's"}), *map(mark, clicked))
            await running.quiet()
            await asyncio.sleep(0)
    decided = {line["event_id"]: line for line in _of(lines, "event_decided")}
    assert ["e0", "e1", "e2", "e9"] == sorted(decided)
    assert {
        "app_id": APP,
        "open_message_id": card,
        "kind": "card_action",
        "result": "decided",
        "effects": 1,
    }.items() <= (decided["e0"].items())
    assert "count" in decided["e0"]["handler"]
    assert ("ignored", 0) == (decided["e9"]["result"], decided["e9"]["effects"])
    performed = {line["event_id"]: line for line in _of(lines, "effect_performed")}
    assert {"e0": "superseded", "e1": "superseded", "e2": "succeeded"} == {
        event_id: line["status"] for event_id, line in performed.items()
    }
    assert {"app_id": APP, "open_message_id": card, "kind": "UpdateCard", "folded": 2}.items() <= performed[
        "e2"
    ].items()
    assert all(isinstance(line["since_received_ms"], int) for line in (*decided.values(), *performed.values()))


def _of(lines: list[MutableMapping[str, Any]], event: str) -> list[MutableMapping[str, Any]]:
    return [line for line in lines if line["event"] == event]
