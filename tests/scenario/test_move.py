"""A running installation grows out of its machine: from SQLite files to Kafka and PostgreSQL, and counters go on."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.eventlog.port import Topics
from shared.eventlog.sqlite.log import SqliteLog
from tests.chaos.platform import Platform, session
from tests.scenario.handlers import BLANK, COUNT, app_of_stories
from tests.support.commands import PATIENCE_S, Started, environment, run, started
from tests.support.event_logs import KafkaBackend
from tests.support.proved import promises_broken_in
from tests.support.transfers import bring, export
from tests.support.world import World, files, services, world
from worker.history.verify import verify
from worker.history.verifying.story import Violation
from worker.transfer.exporting import Exported

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.postgres]

HANDLERS = """
from cardwire import App, Decision, UpdateCard

app = App()


@app.on_action("count")
def count(click, card):
    n = (card.state if card and card.state else 0) + 1
    return Decision(state=n, effects=[UpdateCard({"config": {"update_multi": True}, "elements": [], "n": n})])
"""


@pytest.mark.timeout(400)
async def test_a_running_installation_moves_and_its_counters_go_on(
    kafka: str, postgres_url: str, tmp_path: Path
) -> None:
    """Export and import beside running processes, and once more after them; rebuild; the 21st click counts 21."""
    old = environment(
        tmp_path, CARDWIRE_LOG=None, CARDWIRE_LEDGER=None, CARDWIRE_SIMULATOR_PORT="0",
        CARDWIRE_SIMULATOR_CALLBACK="http://127.0.0.1:9/webhook/card",
    )  # fmt: skip
    there = {"CARDWIRE_LOG": f"kafka://{kafka}", "CARDWIRE_LEDGER": postgres_url}
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    with started("simulator", env=old, cwd=tmp_path) as simulator:
        addresses = simulator.until(r"openapi=(\S+) control=(\S+)")
        old["LARK_DOMAIN"] = addresses[1]
        new = {**old, **there, "CARDWIRE_TOPIC_PREFIX": f"move{os.getpid()}."}
        async with session() as http:
            platform = Platform(http, addresses[2])
            message_id = await _card(platform)
            with started("run", env=old, cwd=tmp_path) as both:
                await _ready(platform, both)
                await _clicked(platform, message_id, upto=13)
                for command in (("topics", "create"), ("db", "upgrade")):
                    await _done(*command, env=new, cwd=tmp_path)
                first = await _moved(old, new, tmp_path)
                await _clicked(platform, message_id, upto=20)
                assert 0 == await asyncio.to_thread(both.stop)
            calls = len(await platform.pages("calls"))
            second = await _moved(old, new, tmp_path)
            told = await _done("rebuild", "--json", env=new, cwd=tmp_path)
            assert told["records"] == {"outcomes": second["outcomes"], "inputs": second["interactions"]}
            assert calls == len(await platform.pages("calls"))
            with (
                started("gateway", env=new, cwd=tmp_path) as gateway,
                started("worker", env=new, cwd=tmp_path) as worker,
            ):
                await _ready(platform, gateway)
                await asyncio.to_thread(worker.until, r"^worker ready")
                await _clicked(platform, message_id, upto=21)
                assert (0, 0) == (await asyncio.to_thread(gateway.stop), await asyncio.to_thread(worker.stop))
            assert [] == await platform.pages("violations")
    await _done("verify", "--json", env=new, cwd=tmp_path)
    assert 0 < first["interactions"] < second["interactions"] == 40


async def _card(platform: Platform) -> str:
    chat = await platform.post("chats", {"name": "支付告警"})
    card = await platform.post("cards", {"chat_id": chat["chat_id"], "card": BLANK})
    return str(card["message_id"])


async def _ready(platform: Platform, gateway: Started) -> None:
    """Wait until a gateway is there, and have callbacks sent to it."""
    found = await asyncio.to_thread(gateway.until, r"^gateway ready callbacks=(\S+)")
    await platform.post("callback", {"urls": [f"{found[1]}/webhook/card"]})


async def _clicked(platform: Platform, message_id: str, *, upto: int) -> None:
    """Click a card, once after the other, until it has counted so many."""
    while (shown := await _shown(platform, message_id)) < upto:
        clicked = await platform.post(
            "click",
            {"message_id": message_id, "action": {"tag": "button", "value": COUNT}, "operator": {"open_id": "ou_1"}},
        )
        assert clicked["client_error"] is None
        async with asyncio.timeout(PATIENCE_S):
            while await _shown(platform, message_id) == shown:  # noqa: ASYNC110 (the simulator tells nobody)
                await asyncio.sleep(0.05)
    assert upto == await _shown(platform, message_id)


async def _shown(platform: Platform, message_id: str) -> int:
    card = (await platform.get(f"messages/{message_id}"))["card"]
    return int((json.loads(card) if isinstance(card, str) else card).get("n", 0))


async def _moved(old: dict[str, str], new: dict[str, str], folder: Path) -> dict[str, int]:
    """Export the one log and import it into the other; return how many records each topic has."""
    exported = await _done("log", "export", "out", "--json", env=old, cwd=folder)
    imported = await _done("log", "import", "out", "--json", env=new, cwd=folder)
    assert [_digests(exported), 0] == [_digests(imported), imported["repeated"]]
    counts = [sum(part["records"] for part in topic["partitions"]) for topic in imported["topics"]]
    return dict(zip(("interactions", "outcomes", "dead"), counts, strict=True))


def _digests(told: dict[str, Any]) -> list[list[str]]:
    return [[part["sha256"] for part in topic["partitions"]] for topic in told["topics"]]


async def _done(*command: str, env: dict[str, str], cwd: Path) -> dict[str, Any]:
    """Run a command to its good end and return what it tells programs last."""
    ran = await asyncio.to_thread(run, *command, env=env, cwd=cwd)
    assert 0 == ran.returncode, (command, ran.stdout, ran.stderr)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    told: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return told


async def test_a_history_on_kafka_proves_itself_in_files(kafka: str, postgres_url: str, tmp_path: Path) -> None:
    """All of it, and what is left when retention has taken its head, so that every offset is another one there."""
    async with world(services(kafka, postgres_url), app_of_stories()) as running:
        cards = [running.simulator.put_card(await running.chat(), BLANK) for _ in range(3)]
        for number in range(4):
            for card in cards:
                await running.simulator.click(card, COUNT)
                await running.simulator.click(card, {"action": "rename", "name": f"{number}"})
                await running.simulator.click(card, {"action": "text", "text": f"{number}"})
        await running.quiet()
        whole = await _in_files(running, tmp_path, "whole")
        assert (72, 36, 0) == (whole["inputs"], whole["decisions"], whole["begun_before_the_log"])
        interactions, outcomes = running.topics.interactions, running.topics.outcomes
        for topic, part in ((interactions, 2), (outcomes, 4)):
            for number, span in (await running.event_log.spans(topic)).items():
                await KafkaBackend(kafka).forget(topic, number, before=span.begin + (span.end - span.begin) // part)
        rest = await _in_files(running, tmp_path, "rest")
        assert 0 < rest["inputs"] < whole["inputs"]
        assert 0 < rest["decisions"] < whole["decisions"]
        assert 0 < rest["begun_before_the_log"] < rest["events"]


async def _in_files(running: World, folder: Path, name: str) -> Mapping[str, int]:
    """Move a world's log into files, which prove themselves; return what was judged."""
    found: list[Violation] = []
    done = await export(running.event_log, running.topics, folder / name)
    moved = SqliteLog(folder / f"{name}.db")
    brought = await bring(moved, Topics(), folder / name)
    again = await export(moved, Topics(), folder / f"{name}-again")
    verified = await verify(moved, Topics(), found=found.append)
    await moved.close()
    assert [] == found
    assert (done.manifest.records, 0) == (brought.new, brought.repeated)
    assert _digests_of(done) == _digests_of(again)
    return verified.counts


def _digests_of(exported: Exported) -> list[list[str]]:
    return [[part.sha256 for part in topic.partitions] for topic in exported.manifest.topics]


async def test_a_log_that_had_lost_its_beginning_proves_itself_in_its_new_place(tmp_path: Path) -> None:
    """Offsets begin anew there, and decisions may be older than their inputs: no promise looks broken by that."""
    async with world(files(tmp_path), app_of_stories()) as running:
        cards = [running.simulator.put_card(await running.chat(), BLANK) for _ in range(3)]
        for _ in range(6):
            for card in cards:
                await running.simulator.click(card, COUNT)
        await running.quiet()
        log = SqliteLog(tmp_path / "log.db")
        for topic, part in ((running.topics.interactions, 2), (running.topics.outcomes, 4)):
            for number, span in (await log.spans(topic)).items():
                await log.forget(topic, number, before=span.begin + (span.end - span.begin) // part)
        await export(log, running.topics, tmp_path / "out")
        moved = SqliteLog(tmp_path / "moved.db")
        await bring(moved, running.topics, tmp_path / "out")
        assert [] == await promises_broken_in(log, running.topics)
        assert [] == await promises_broken_in(moved, running.topics)
        await log.close()
        await moved.close()
