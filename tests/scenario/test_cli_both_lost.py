"""Log and database are lost while gateway and worker run, and come back."""

import asyncio
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.feishu.answer import not_recorded
from simulator.app import RunningSimulator, run_simulator
from simulator.settings import SimulatorSettings
from tests.support.commands import PATIENCE_S, environment, run, started
from tests.support.kafka import KafkaBroker
from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.postgres]

HANDLERS = """
from cardwire import App, RenameChat, Toast

app = App()


@app.on_action("rename", answer=Toast.info("好"))
def rename(click, card):
    return [RenameChat("改名了")]
"""
CARD = {"config": {"update_multi": True}, "elements": []}


async def _until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(round(PATIENCE_S * 20)):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what} did not come about within {PATIENCE_S} s")


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- our own address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


async def _until_status(url: str, status: int) -> None:
    await _until(lambda: _status(url) == status, f"{status} at {url}")


class Clicks:
    """Clicks, each on a card in a chat of its own."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self._simulator = simulator

    async def click(self) -> tuple[str, str]:
        """Click, and return the chat and what the person read."""
        chat_id = self._simulator.platform.new_chat("原名").chat_id
        seen = await self._simulator.click(self._simulator.put_card(chat_id, CARD), {"action": "rename"})
        assert (200, None) == (seen.status, seen.client_error)
        return chat_id, str(seen.client_text)

    async def until_accepted(self) -> str:
        """Click until a click is accepted, and return its chat: a broker that has just begun may be slow at first."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                chat_id, told = await self.click()
                if told == "好":
                    return chat_id

    async def until_renamed(self, chat_id: str) -> None:
        """Wait until the click on the card in this chat had its effect."""
        await _until(lambda: self._simulator.platform.chat(chat_id).name == "改名了", "the new name")


async def test_both_lost_while_running(
    tmp_path: Path, kafka_broker: KafkaBroker, postgres_server: PostgresServer
) -> None:
    """Nobody is told that a lost click was taken, no process ends, and every accepted click has its effect."""
    env = environment(
        tmp_path,
        CARDWIRE_LOG=f"kafka://{kafka_broker.bootstrap}",
        CARDWIRE_LEDGER=postgres_server.databases.create(),
        CARDWIRE_TOPIC_PREFIX=f"both-lost-{os.getpid()}.",
        CARDWIRE_SIMULATOR_PORT="0",
    )
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    for command in ("topics create", "db upgrade"):
        ran = await asyncio.to_thread(run, *command.split(), env=env, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
    async with run_simulator(SimulatorSettings.load(env)) as simulator:
        with (
            started("gateway", env=env, cwd=tmp_path) as gateway,
            started("worker", env={**env, "LARK_DOMAIN": simulator.url}, cwd=tmp_path) as worker,
        ):
            ready = await asyncio.to_thread(gateway.until, r"^gateway ready callbacks=(\S+) admin=(\S+)$")
            simulator.callback_url = f"{ready[1]}/webhook/card"
            admin = (await asyncio.to_thread(worker.until, r"^worker ready admin=(\S+)$"))[1]
            clicks = Clicks(simulator)
            chat, told = await clicks.click()
            assert told == "好"
            await clicks.until_renamed(chat)

            await asyncio.to_thread(postgres_server.kill)
            accepted, told = await clicks.click()
            assert told == "好"
            await asyncio.to_thread(kafka_broker.kill)
            _, told = await clicks.click()
            toast = not_recorded().toast
            assert toast is not None
            assert toast.content == told
            for url in (ready[2], admin):
                await _until_status(f"{url}/readyz", 503)
                assert _status(f"{url}/healthz") == 200

            await asyncio.gather(asyncio.to_thread(kafka_broker.recover), asyncio.to_thread(postgres_server.recover))
            for url in (ready[2], admin):
                await _until_status(f"{url}/readyz", 200)
            await clicks.until_renamed(accepted)
            await clicks.until_renamed(await clicks.until_accepted())
            assert (None, None) == (gateway.process.poll(), worker.process.poll())
            assert (0, 0) == (gateway.stop(), worker.stop())
