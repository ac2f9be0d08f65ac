"""
The one pipeline that every callback takes, whatever front end it arrived at.

admit → normalize → choose the answer → append → answer; then, once the front end has written the answer, the mark. A
link preview is answered first, and appended afterwards if a handler wants it: it is asked for again whenever somebody
opens the chat, and nothing may make people wait for a title.

Guarantees
    A click that is answered with its handler's answer is in the log. One that is not, is answered with a toast that
    says so, or with 503 where the platform repeats what failed (events). Nothing that a caller sends makes it raise.
    *Crash* before the answer: the caller got none, and the click may be in the log. After it: the mark may be
    missing, and the click's effects wait three seconds for it; a link preview may not be in the log.
"""

import asyncio
import hashlib
from typing import Final, assert_never

import msgspec
import structlog
from msgspec.structs import replace

from gateway.admission import Admits, Admitted, Illegible, Verification
from gateway.answer import Answers
from gateway.append import BUDGET_S, Appender
from gateway.lines import tell
from gateway.reply import UNAVAILABLE, Arrival, Outcome, Reply, Trace, rejected, reply_to, trace_of, traced, unrecorded
from shared.app.app import App
from shared.clock import Clock
from shared.core.codec import encode
from shared.core.errors import CallbackRejected, LogUnavailable, RecordRefused
from shared.core.events import CARD_ACTIONS, Action, Answer, InteractionAnswered, InteractionReceived
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.core.traceparent import valid_traceparent
from shared.eventlog.port import NewRecord, Topics
from shared.feishu.answer import NOTHING, challenge, not_recorded, render, status_of
from shared.feishu.callback import APP_TICKET, UnreadableCallback
from shared.feishu.normalize import delivery_key, normalize
from shared.observability.metrics import ANSWER_SECONDS, CALLBACKS, PREVIEWS_LOST, REFUSALS, UNDELIVERED, Metrics
from shared.observability.traces import Traces
from shared.settings import respelled

_NO_ACTION: Final = Action()

log = structlog.get_logger("cardwire.gateway")


class Gate:
    """
    Takes callbacks of one app in, and gives answers out. Each front end has one, with its own rule of admission.

    Args:
        name: What the app is called among several.
    """

    def __init__(
        self,
        *,
        app_id: AppId,
        admission: Admits,
        app: App,
        answers: Answers,
        appender: Appender,
        topics: Topics,
        clock: Clock,
        metrics: Metrics,
        keep_callback: bool = True,
        keep_form_value: bool = True,
        name: str | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces
        self._app_id, self._admission, self._app, self._answers = app_id, admission, app, answers
        self._name = name
        self._appender = appender
        self._topics, self._clock, self._metrics = topics, clock, metrics
        self._keep_callback, self._keep_form_value = keep_callback, keep_form_value
        self._recording: set[asyncio.Task[None]] = set()

    def admit_by(self, admission: Admits) -> None:
        """Judge by another rule from now on: its keys have changed."""
        self._admission = admission

    async def accept(self, arrival: Arrival) -> Reply:
        """Return what to answer; what had to be recorded is durable by then, or the answer says that it may not be."""
        now = self._clock.now()
        try:
            came = self._admission.admit(arrival.body, arrival.headers, now=now)
        except CallbackRejected as error:
            reply = rejected(error, arrival.headers, arrival.started)
            return replace(reply, hint=respelled(reply.hint, self._name)) if reply.hint else reply
        match came:
            case Admitted():
                recording = self._record(came, arrival, now)
                del came, arrival  # see `_leaner`
                return await recording
            case Verification():
                hint = came.hint and respelled(came.hint, self._name)
                return replace(reply_to(arrival, challenge(came.challenge), "verified", kind="challenge"), hint=hint)
            case Illegible():
                return await self._park(came.reason, arrival, now)
            case _ as unreachable:
                assert_never(unreachable)

    def answered(self, reply: Reply, *, delivered: bool) -> None:
        """Take note that a reply was written, or that its caller had gone: marks, counts, and the one log line."""
        received = reply.received
        if received is not None and reply.outcome == "recorded" and received.kind in CARD_ACTIONS:
            mark = encode(self._mark(received, delivered), traceparent=trace_of(reply.trace))
            self._appender.mark(NewRecord.of(self._topics.interactions, mark))
        if reply.later is not None:
            recording = asyncio.create_task(self._record_later(reply.later))
            self._recording.add(recording)
            recording.add_done_callback(self._recording.discard)
        seconds = self._clock.monotonic() - reply.started
        self._metrics.count(CALLBACKS, self._app_id, reply.kind, reply.outcome)
        self._metrics.observe(ANSWER_SECONDS, seconds, reply.kind)
        if reply.outcome == "rejected" and reply.cause:
            self._metrics.count(REFUSALS, self._app_id, reply.cause)
        if not delivered:
            self._metrics.count(UNDELIVERED)
        tell(reply, self._app_id, seconds, delivered=delivered)
        if reply.trace is not None and reply.trace.span is not None:
            reply.trace.span.end(self._clock.now(), outcome=reply.outcome, status=reply.status)

    async def _record(self, came: Admitted, arrival: Arrival, now: EpochMs) -> Reply:
        try:
            received = normalize(
                came.callback,
                app_id=self._app_id,
                received_at=now,
                request_id=arrival.headers.request_id,
                delivery_key=delivery_key(arrival.headers.request_id, arrival.body),
                signature=came.signature,
                signed_at=came.signed_at,
                keep_callback=self._keep_callback,
                keep_form_value=self._keep_form_value,
            )
        except UnreadableCallback as error:
            return await self._park(str(error), arrival, now)
        if received.kind == "event" and not self._is_wanted(received):
            return reply_to(arrival, NOTHING, "ignored", kind=received.kind, received=received)
        left_s = BUDGET_S - (self._clock.monotonic() - arrival.started)
        answer = await self._answers.choose(received, left_s=left_s)
        received = msgspec.structs.replace(received, answer=answer)
        trace = self._trace(received, arrival, now)
        if received.kind == "link_preview":
            return traced(self._previewed(received, arrival, trace_of(trace)), trace)
        # Nothing is awaited between the answer and the append, so clicks of one card keep their order.
        record = NewRecord.of(self._topics.interactions, encode(received, traceparent=trace_of(trace)))
        received, arrival = _leaner(received), replace(arrival, body=b"")
        del came
        try:
            await self._appender.append(record, started=arrival.started)
        except (LogUnavailable, RecordRefused) as error:
            return traced(unrecorded(received, str(error), arrival), trace)
        return traced(self._answered(received, arrival, "recorded"), trace)

    def _trace(self, received: InteractionReceived, arrival: Arrival, now: EpochMs) -> Trace | None:
        """Return the callback's trace: the caller's, and a span of ours in it if we tell of spans."""
        parent = valid_traceparent(arrival.headers.traceparent)
        if self._traces is None:
            return None if parent is None else Trace(traceparent=parent)
        span = self._traces.begin(
            "callback",
            parent=parent,
            at=now,
            app_id=received.app_id,
            event_id=received.event_id,
            open_message_id=received.message_id,
            kind=received.kind,
        )
        return Trace(traceparent=span.traceparent, span=span)

    def _is_wanted(self, received: InteractionReceived) -> bool:
        """Say whether an event is recorded. Clicks all are: what people pressed is worth knowing without a handler."""
        # The ticket is for the worker, which calls the platform for a store app.
        event_type = received.event_type
        return event_type is not None and (event_type == APP_TICKET or self._app.wants_event(event_type))

    def _previewed(self, received: InteractionReceived, arrival: Arrival, traceparent: str | None) -> Reply:
        if self._app.handler_for(received) is not None:
            record = NewRecord.of(self._topics.interactions, encode(received, traceparent=traceparent))
            return replace(self._answered(received, arrival, "answered"), later=record)
        return self._answered(received, arrival, "ignored" if received.answer == Answer() else "answered")

    def _answered(self, received: InteractionReceived, arrival: Arrival, outcome: Outcome) -> Reply:
        body = self._answers.body(received.answer, received.kind)
        status = status_of(received.answer, received.kind)
        return reply_to(arrival, body, outcome, status=status, kind=received.kind, received=received)

    async def _record_later(self, record: NewRecord) -> None:
        try:
            await self._appender.append(record, started=self._clock.monotonic())
        except (LogUnavailable, RecordRefused) as error:
            self._metrics.count(PREVIEWS_LOST)
            log.warning("preview_not_recorded", reason=str(error))

    async def _park(self, reason: str, arrival: Arrival, now: EpochMs) -> Reply:
        """Keep an honest body that we cannot read, as it came, for a person to look at."""
        record = NewRecord(
            topic=self._topics.dead,
            key=f"{self._app_id}:{hashlib.sha256(arrival.body).hexdigest()}",
            value=arrival.body,
            headers=(("dlq_source", b"gateway"), ("dlq_reason", reason.encode("utf-8", "replace"))),
            timestamp=now,
        )
        try:
            await self._appender.append(record, started=arrival.started)
        except (LogUnavailable, RecordRefused) as error:
            # It may be an event, which the platform repeats if told so.
            return reply_to(arrival, UNAVAILABLE, "not_recorded", status=503, cause=f"{reason}; {error}")
        return reply_to(arrival, render(not_recorded(), "card_action"), "parked", cause=reason)

    def _mark(self, received: InteractionReceived, delivered: bool) -> InteractionAnswered:  # noqa: FBT001 -- private
        return InteractionAnswered(
            event_id=received.event_id,
            app_id=received.app_id,
            tenant_key=received.tenant_key,
            message_id=received.message_id,
            delivered=delivered,
            answered_at=self._clock.now(),
        )


def _leaner(received: InteractionReceived) -> InteractionReceived:
    """
    Return what is still to be known of an interaction whose record is made.

    Whoever waits for the log keeps nothing more: the next clicks then use memory that is in the processor's cache,
    which is 5 % of what a click costs where many wait.
    """
    return replace(received, callback=None, action=_NO_ACTION)
