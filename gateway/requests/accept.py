"""
Requests of programs: token → body → may this caller ask for that? → append → 202.

Guarantees
    202: the request is durable, and it is decided once, however often it is sent. Any other status: nothing was done by
    this attempt, except after 503, when it may have been recorded all the same. Sending the same ``request_id`` again
    is safe after any answer, and after none.
    *Crash* before the answer: the caller got none, and the request may be in the log.

Requests never take the room of callbacks, nor a caller that of another: few are under way at once, each caller has an
equal share of them, and who is one too many is told to come back.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from gateway.append import Appender
from gateway.requests.body import BadRequest, Requested, read_request
from shared.clock import Clock
from shared.core.callers import Caller, Callers
from shared.core.codec import encode
from shared.core.errors import LogUnavailable, RecordRefused
from shared.core.events import RequestReceived
from shared.core.ids import AppId
from shared.core.settling import Settling
from shared.core.traceparent import valid_traceparent
from shared.eventlog.port import NewRecord, Topics
from shared.observability.metrics import REQUESTS, Metrics
from shared.reread import REREAD_S

MAX_UNDER_WAY: Final = 256
"""
Requests that may be under way at once, all callers' together: a sixteenth of the room that callbacks have. Only where
there are more callers than that can it be more, because each has one.
"""

Outcome = Literal["accepted", "refused", "busy", "not_recorded"]
"""What became of a request at the gateway."""

UNKNOWN: Final = "unknown"
"""Stands for the caller's name where the token is nobody's."""

_UNAVAILABLE: Final = "the log did not take it in time: expected nothing else of you, send the same request_id again"
_BUSY: Final = (
    "as many requests of yours are under way as a caller may have: expected a pause, send the same request_id again in "
    "a second"
)
_NEW: Final = (
    "this is allowed here since {since} s, and workers may not know it yet: expected a pause, send the same request_id "
    "again in {after} s"
)
_NO_TENANT: Final = (
    "tenant_key is missing: expected the key of an organisation, because many have a store app, for example "
    '"tenant_key": "2df73991750a1b2c"'
)
_TOO_LARGE: Final = "the request is larger than the log takes: expected a smaller one, for example with a smaller card"
_STRANGER: Final = "the token is missing or nobody's: expected one of a caller, for example Authorization: Bearer …"

SETTLED_S: Final = 2 * REREAD_S
"""How long what a caller was newly allowed is kept back: each worker has read of it by then."""

log = structlog.get_logger("cardwire.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What a caller is told.

    Attributes:
        status: HTTP status.
        told: The body's one member: the request's ``id``, or the ``error``.
        outcome: For metric and log line.
        received: What was asked for, as far as it could be read.
        after_s: In how many seconds to send it again, where that helps.
    """

    status: int
    told: dict[str, str]
    outcome: Outcome
    received: RequestReceived | None = field(default=None, repr=False)
    after_s: int = 1

    @classmethod
    def refused(
        cls, status: int, why: str, *, outcome: Outcome = "refused", received: RequestReceived | None = None
    ) -> "Answer":
        """Return a refusal with its one line."""
        return cls(status=status, told={"error": why}, outcome=outcome, received=received)


class Requests:
    """
    Takes requests in.

    Args:
        callers: Who may ask for what.
        apps: Those that this gateway knows.
        stores: Those of them that have more organisations than one, so that a request must name its own.
    """

    def __init__(
        self,
        *,
        callers: Callers,
        apps: Collection[AppId],
        stores: Collection[AppId] = frozenset(),
        appender: Appender,
        topics: Topics,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._settling = Settling.from_start(callers)
        self._stores = stores
        self._apps, self._appender, self._topics, self._clock, self._metrics = apps, appender, topics, clock, metrics
        self._under_way = Counter[str]()

    def renew(self, callers: Callers) -> None:
        """Replace the callers: what they may no longer do counts at once, what they may now after `SETTLED_S`."""
        self._settling = self._settling.then(callers, at=self._clock.monotonic())

    def who(self, authorization: str | None) -> Caller | None:
        """Return who calls, by the header ``Authorization``."""
        scheme, _, token = (authorization or "").partition(" ")
        return self._settling.callers.who(token.strip()) if scheme.lower() == "bearer" else None

    @contextmanager
    def room(self, caller: Caller) -> Iterator[bool]:
        """Take a place of a caller's share, for as long as the block lasts; False if none of it is left."""
        share = max(1, MAX_UNDER_WAY // max(1, len(self._settling.callers.by_name)))
        has_room = self._under_way[caller.name] < share
        self._under_way[caller.name] += has_room
        try:
            yield has_room
        finally:
            self._under_way[caller.name] -= has_room

    async def accept(self, caller: Caller, body: bytes, *, traceparent: str | None = None) -> Answer:
        """
        Return what to answer a caller; what is accepted is durable by then.

        Args:
            traceparent: What the caller says of its trace.
        """
        try:
            requested = read_request(body)
        except BadRequest as error:
            return Answer.refused(400, str(error))
        received = requested.by(caller.name, self._clock.now())
        if requested.app_id in self._stores and not requested.tenant_key:
            return Answer.refused(400, _NO_TENANT, received=received)
        if refusal := self._refusal(caller, requested):
            return Answer.refused(403, refusal, received=received)
        known_s = self._clock.monotonic() - self._settling.newest(caller, requested.app_id, requested.effects)
        if known_s < SETTLED_S:
            return _too_new(known_s, received)
        return await self._record(received, valid_traceparent(traceparent))

    def answered(self, caller: Caller | None, answer: Answer, *, started: float) -> None:
        """Take note of an answer: the count, and the one log line."""
        name = caller.name if caller else UNKNOWN
        self._metrics.count(REQUESTS, name, answer.outcome)
        tell = log.info if answer.outcome == "accepted" else log.warning
        received = answer.received
        tell(
            "request_answered",
            caller=name,
            outcome=answer.outcome,
            status=answer.status,
            ms=round((self._clock.monotonic() - started) * 1000, 1),
            reason=answer.told.get("error"),
            app_id=received.app_id if received else None,
            event_id=received.event_id if received else None,
            open_message_id=received.message_id if received else None,
            effects=[type(effect).__name__ for effect in received.effects] if received else None,
        )

    def _refusal(self, caller: Caller, requested: Requested) -> str | None:
        if refusal := caller.refusal(requested.app_id, requested.effects):
            return f"{refusal}: expected it in [callers.{caller.name}] of CARDWIRE_CALLERS"
        return None if requested.app_id in self._apps else f"the app {requested.app_id} is not served here"

    async def _record(self, received: RequestReceived, traceparent: str | None) -> Answer:
        record = NewRecord.of(self._topics.interactions, encode(received, traceparent=traceparent))
        try:
            # Its time counts from here: nobody clicked, so a body that came slowly takes nothing from it.
            await self._appender.append(record, started=self._clock.monotonic())
        except LogUnavailable:
            return Answer.refused(503, _UNAVAILABLE, outcome="not_recorded", received=received)
        except RecordRefused:
            return Answer.refused(413, _TOO_LARGE, received=received)
        return Answer(status=202, told={"id": received.event_id}, outcome="accepted", received=received)


def _too_new(known_s: float, received: RequestReceived) -> Answer:
    after_s = math.ceil(SETTLED_S - known_s)
    why = _NEW.format(since=math.floor(known_s), after=after_s)
    return Answer(status=503, told={"error": why}, outcome="not_recorded", received=received, after_s=after_s)


def stranger() -> Answer:
    """Return the answer to whoever has no token of a caller."""
    return Answer.refused(401, _STRANGER)


def busy() -> Answer:
    """Return the answer to a caller whose share is under way."""
    return Answer.refused(429, _BUSY, outcome="busy")
