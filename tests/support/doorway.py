"""A gate between a clock and a log in memory, for stories that need no port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway.accept import Gate
from gateway.admission import Admission
from gateway.answer import Answers
from gateway.append import Appender
from gateway.credentials import Credentials
from gateway.reply import Arrival, Reply
from shared.app.app import App
from shared.clock import ManualClock
from shared.core.codec import decode
from shared.core.events import Event, InteractionReceived
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.port import Topics
from shared.observability.metrics import GATEWAY_METRICS, Metrics
from tests.support.admitting import headers_of
from tests.support.callbacks import NOW, Wire
from tests.support.testable_log import TestableLog

TOPICS: Final = Topics()


@dataclass(kw_only=True)
class Doorway:
    """A gate, and what came through it."""

    gate: Gate
    log: TestableLog
    clock: ManualClock
    metrics: Metrics
    appender: Appender
    replies: list[Reply] = field(default_factory=list)

    async def send(self, wire: Wire, *, delivered: bool = True) -> Reply:
        """Send a request, and write its reply."""
        arrival = Arrival(body=wire.body, headers=headers_of(wire), started=self.clock.monotonic())
        reply = await self.gate.accept(arrival)
        self.gate.answered(reply, delivered=delivered)
        self.replies.append(reply)
        return reply

    async def events(self) -> list[Event]:
        """Return what is in the log, once what rides behind answers is."""
        for _ in range(3):
            await asyncio.sleep(0)  # what is recorded behind an answer takes its place in the queue
        await self.appender.close()
        return [decode(record.headers, record.value) for record in await self.log.all(TOPICS.interactions)]

    async def received(self) -> list[InteractionReceived]:
        """Return the interactions in the log."""
        return [event for event in await self.events() if isinstance(event, InteractionReceived)]


@asynccontextmanager
async def doorway(
    app: App,
    *,
    app_id: str,
    verification_token: str,
    encrypt_key: str = "",
    now: EpochMs = NOW,
    keep_callback: bool = True,
    keep_form_value: bool = True,
) -> AsyncIterator[Doorway]:
    """Open a gate for an app, which lets both styles in."""
    clock, metrics, log = ManualClock(now), Metrics(*GATEWAY_METRICS), TestableLog()
    credentials = Credentials(
        app_id=AppId(app_id),
        encrypt_keys=(Secret(encrypt_key),) if encrypt_key else (),
        verification_tokens=(Secret(verification_token),),
        style="both",
    )
    appender = Appender(log, clock=clock, metrics=metrics)
    appender.start()
    answers = Answers(app, metrics=metrics)
    gate = Gate(
        app_id=AppId(app_id),
        admission=Admission(credentials),
        app=app,
        answers=answers,
        appender=appender,
        topics=TOPICS,
        clock=clock,
        metrics=metrics,
        keep_callback=keep_callback,
        keep_form_value=keep_form_value,
    )
    try:
        yield Doorway(gate=gate, log=log, clock=clock, metrics=metrics, appender=appender)
    finally:
        log.error = None
        await appender.close()
        answers.close()
