"""The log lines of a batch that was committed: what an operator may want to know of each click, or once of each app."""

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

import structlog

from shared.core.events import (
    Asked,
    CallReturned,
    Decided,
    InteractionReceived,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.folded import REQUEST
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.observability.often import Line, often
from worker.deciding.batch import Taken
from worker.deciding.grant import UNKNOWN_APP, UNKNOWN_CALLER
from worker.ledger.decided import DeadLetter, Write
from worker.settings import CALLERS_HINT, UNKNOWN_HINT

TWINS_HINT = "the console is subscribed to card callbacks in both styles: unsubscribe one of them"
MISLED_HINT = "it names another card than the input that is kept: cardwire dlq redrive EVENT_ID asks for the right one"

TAKEN: Final = "taken"
"""What became of an event that no handler is for, and that brought a store app's ticket: it is in the ledger now."""

log = structlog.get_logger("cardwire.worker")


class EventDecided(Line, frozen=True, kw_only=True, tag="event_decided"):
    """
    The one line of an input.

    Attributes:
        kind: Of the callback; else ``request``, ``result`` of a call, ``reminder``.
        effects: How many were planned.
        since_received_ms: How long it took from the gateway's receipt to the stored decision.
    """

    app_id: str
    event_id: str
    kind: str
    result: str
    open_message_id: str | None = None
    handler: str | None = None
    reason: str | None = None
    late: bool = False
    redrive: int = 0
    effects: int = 0
    version: int = 0
    partition: int
    offset: int
    since_received_ms: int


class Telling:
    """Tells of batches, and of what is wrong with a whole app once."""

    def __init__(self) -> None:
        self._twins: set[AppId] = set()
        self._unknown: set[AppId] = set()

    def decided(self, decisions: Iterable[tuple[Asked, Decided]], at: EpochMs) -> None:
        """Write the one line of each input; ``at`` is when they were stored (ms, ledger's clock)."""
        for asked, decided in decisions:
            often.write(_line(asked, decided, at))

    def told(self, write: Write, parked: Sequence[tuple[Taken, str]]) -> None:
        """Write the lines of a batch, and of the records that it put aside."""
        for claim in write.claims:
            if claim.result == "refused" and claim.event_id.startswith("req/"):
                log.warning("request_refused", event_id=claim.event_id, app_id=claim.app_id, reason=claim.reason)
            elif claim.result == "twin" and claim.app_id not in self._twins:
                self._twins.add(claim.app_id)
                log.warning("clicks_come_twice", app_id=claim.app_id, hint=TWINS_HINT)
        for letter in write.dead_letters:
            if letter.handler == REQUEST:
                self._tell_of_request(letter)
            elif letter.reason != UNKNOWN_APP:
                log.warning("handler_failed", **_named(letter), handler=letter.handler, reason=letter.reason)
            elif letter.app_id not in self._unknown:
                self._unknown.add(letter.app_id)
                log.warning("app_unknown", app_id=letter.app_id, what="its clicks are kept", hint=UNKNOWN_HINT)
        for taken, reason in parked:
            record = taken.record
            log.warning("record_parked", partition=record.partition, offset=record.offset, reason=reason)

    def misled(self, redrives: Iterable[RedriveRequested]) -> None:
        """Write a line for each redrive that names another card than its input."""
        for redrive in redrives:
            log.warning("redrive_refused", event_id=redrive.event_id, app_id=redrive.app_id, hint=MISLED_HINT)

    def _tell_of_request(self, letter: DeadLetter) -> None:
        hint = CALLERS_HINT if letter.reason == UNKNOWN_CALLER else UNKNOWN_HINT
        log.warning("request_failed", **_named(letter), reason=letter.reason, hint=hint)


def _named(letter: DeadLetter) -> dict[str, str]:
    """Return what an input is found by, in the names of every line."""
    card = {} if letter.message_id is None else {"open_message_id": letter.message_id}
    return {"app_id": letter.app_id, "event_id": letter.event_id, **card}


def _kind(asked: Asked) -> str:
    match asked:
        case InteractionReceived(kind=kind):
            return kind
        case RequestReceived():
            return "request"
        case CallReturned():
            return "result"
        case TimerFired():
            return "reminder"
        case _ as unreachable:
            assert_never(unreachable)


def _is_ticket(asked: Asked) -> bool:
    return isinstance(asked, InteractionReceived) and asked.app_ticket is not None


def _line(asked: Asked, decided: Decided, at: EpochMs) -> EventDecided:
    return EventDecided(
        app_id=decided.app_id,
        event_id=decided.event_id,
        open_message_id=decided.message_id,
        kind=_kind(asked),
        handler=decided.handler,
        result=TAKEN if decided.result == "ignored" and _is_ticket(asked) else decided.result,
        reason=decided.reason,
        late=decided.late,
        redrive=decided.redrive,
        effects=len(decided.effects),
        version=decided.version,
        partition=decided.partition,
        offset=decided.offset,
        since_received_ms=at - asked.received_at,
    )
