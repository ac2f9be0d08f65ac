"""The log lines of a batch that was committed: what an operator may want to know of each click, or once of each app."""

from collections.abc import Sequence

import structlog

from shared.core.ids import AppId
from worker.deciding.batch import Taken
from worker.deciding.draft import REQUEST
from worker.deciding.grant import UNKNOWN_APP, UNKNOWN_CALLER
from worker.ledger.port import DeadLetter, Write
from worker.settings import CALLERS_HINT, UNKNOWN_HINT

TWINS_HINT = "the console is subscribed to card callbacks in both styles: unsubscribe one of them"

log = structlog.get_logger("cardwire.worker")


class Telling:
    """Tells of batches, and of what is wrong with a whole app once."""

    def __init__(self) -> None:
        self._twins: set[AppId] = set()
        self._unknown: set[AppId] = set()

    def told(self, write: Write, parked: Sequence[tuple[Taken, str]]) -> None:
        """Write the lines of a batch, and of the records that it put aside."""
        for claim in write.claims:
            if claim.result == "refused" and claim.event_id.startswith("req/"):
                log.warning("request_refused", event_id=claim.event_id, app_id=claim.app_id, reason=claim.reason)
            elif claim.result == "ignored":
                log.info("click_ignored", event_id=claim.event_id, reason=claim.reason or "no handler matches")
            elif claim.result == "twin" and claim.app_id not in self._twins:
                self._twins.add(claim.app_id)
                log.warning("clicks_come_twice", app_id=claim.app_id, hint=TWINS_HINT)
        for letter in write.dead_letters:
            if letter.handler == REQUEST:
                self._tell_of_request(letter)
            elif letter.reason != UNKNOWN_APP:
                log.warning("handler_failed", event_id=letter.event_id, handler=letter.handler, reason=letter.reason)
            elif letter.app_id not in self._unknown:
                self._unknown.add(letter.app_id)
                log.warning("app_unknown", app_id=letter.app_id, what="its clicks are kept", hint=UNKNOWN_HINT)
        for taken, reason in parked:
            record = taken.record
            log.warning("record_parked", partition=record.partition, offset=record.offset, reason=reason)

    def _tell_of_request(self, letter: DeadLetter) -> None:
        hint = CALLERS_HINT if letter.reason == UNKNOWN_CALLER else UNKNOWN_HINT
        log.warning("request_failed", event_id=letter.event_id, app_id=letter.app_id, reason=letter.reason, hint=hint)
