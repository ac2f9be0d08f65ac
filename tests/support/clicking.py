"""People who click at a steady rate on a gateway between them and a real Kafka, and what became of their clicks."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import aiohttp

from gateway.app import serve
from gateway.running import RunningGateway
from gateway.settings import GatewaySettings
from shared.app.app import App
from shared.core.cards import Toast
from shared.core.codec import decode
from shared.core.events import Event, InteractionAnswered, InteractionReceived
from shared.eventlog.kafka.log import KafkaLog
from shared.eventlog.kafka.options import KafkaOptions
from shared.eventlog.port import Topics
from shared.eventlog.sqlite.file import REAL, Disk
from shared.observability.metrics import LOG_BREAKER_OPEN, SPILL_ROWS
from tests.support.callbacks import APP_ID, ENCRYPT_KEY, VERIFICATION_TOKEN, click, encrypted, signed
from tests.support.spilling import until

ACCEPTED: Final = "收到了"
CARDS: Final = 10
IN_TIME_S: Final = 2.5
PATIENCE_S: Final = 40.0

app = App()


@app.on_action("follow_up", answer=Toast.info(ACCEPTED))
def follow_up(click: object, card: object) -> None:
    """Handle a click."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What somebody who clicked was told, and after how long."""

    event_id: str
    card: str
    sent_at: float
    seconds: float
    is_accepted: bool
    status: int


class People:
    """Who clicks, and what they were told."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self._url, self._client = url, client
        self.told: list[Told] = []

    async def click_for(self, seconds: float, *, per_s: int = 100, name: str = "ev") -> None:
        """Click at a steady rate, whatever becomes of the clicks before."""
        began, first = time.monotonic(), len(self.told)
        async with asyncio.TaskGroup() as clicks:
            for n in range(int(seconds * per_s)):
                await asyncio.sleep(max(0.0, began + n / per_s - time.monotonic()))
                clicks.create_task(self.click(f"{name}{first}-{n}", f"om_{n % CARDS}"))

    async def click(self, event_id: str, card: str) -> Told:
        """Click once."""
        sent_at = time.monotonic()
        wire = signed(encrypted(click(event_id, message_id=card)), at=time.time_ns() // 1_000_000)
        async with self._client.post(f"{self._url}/webhook/card", data=wire.body, headers=wire.headers) as response:
            body, status = await response.text(), response.status
        seconds = time.monotonic() - sent_at
        told = Told(
            event_id=event_id, card=card, sent_at=sent_at, seconds=seconds, is_accepted=ACCEPTED in body, status=status
        )
        self.told.append(told)
        return told

    def accepted(self) -> set[str]:
        """Return the clicks of which people were told that they are accepted."""
        return {told.event_id for told in self.told if told.is_accepted}


@asynccontextmanager
async def people(url: str) -> AsyncIterator[People]:
    """Give people who click on the gateway at ``url``."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        yield People(url, client)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Brokers, topics of this test's own, and a folder for spills."""

    bootstrap: str
    prefix: str
    spill: Path

    @property
    def topics(self) -> Topics:
        """The topics."""
        return Topics.prefixed(self.prefix)

    def env(self) -> dict[str, str]:
        """Return the settings of a gateway here."""
        return {
            "LARK_APP_ID": APP_ID,
            "LARK_ENCRYPT_KEY": ENCRYPT_KEY,
            "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN,
            "CARDWIRE_APP": "unused:app",
            "CARDWIRE_LOG": f"kafka://{self.bootstrap}",
            "CARDWIRE_TOPIC_PREFIX": self.prefix,
            "CARDWIRE_SPILL": str(self.spill),
            "CARDWIRE_PORT": "0",
            "CARDWIRE_ADMIN_PORT": "0",
        }

    @asynccontextmanager
    async def gateway(self, *, disk: Disk = REAL, **more: str) -> AsyncIterator[tuple[RunningGateway, People]]:
        """Run a gateway, and people who click."""
        async with (
            serve(GatewaySettings.load({**self.env(), **more}), app, spill_disk=disk) as running,
            people(running.url) as clicking,
        ):
            yield running, clicking

    async def make_topics(self, options: KafkaOptions | None = None) -> None:
        """Create the topics."""
        log = KafkaLog(self.bootstrap, topics=self.topics, options=options)
        await log.create([self.topics.interactions])
        await log.close()

    async def events(self) -> list[Event]:
        """Return the inputs of the log, each partition in order."""
        log = KafkaLog(self.bootstrap, topics=self.topics)
        topic = self.topics.interactions
        spans = await log.spans(topic)
        records = [r for number in spans for r in await log.read(topic, number, 0, limit=100_000)]
        await log.close()
        return [decode(record.headers, record.value) for record in records]

    async def logged(self) -> tuple[list[InteractionReceived], list[InteractionAnswered]]:
        """Return the clicks and the marks of the log, each partition in order."""
        events = await self.events()
        return (
            [event for event in events if isinstance(event, InteractionReceived)],
            [event for event in events if isinstance(event, InteractionAnswered)],
        )


async def drained(running: RunningGateway) -> None:
    """Wait until the breaker has closed by itself and nothing is spilled."""

    def is_drained() -> bool:
        rows = running.metrics.value(SPILL_ROWS, "own") + running.metrics.value(SPILL_ROWS, "orphan")
        return running.metrics.value(LOG_BREAKER_OPEN) == 0 and rows == 0

    await until(is_drained, patience_s=PATIENCE_S)


def assert_in_order(received: Sequence[InteractionReceived], told: Sequence[Told]) -> None:
    """Fail if a card's clicks were first logged in another order than that in which they were sent."""
    sent_at = {each.event_id: each.sent_at for each in told}
    for card in {each.card for each in told}:
        order = list(dict.fromkeys(event.event_id for event in received if event.message_id == card))
        assert [] == [pair for pair in pairwise(order) if sent_at[pair[0]] > sent_at[pair[1]]]
