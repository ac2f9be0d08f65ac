"""The one line of each outcome."""

import msgspec

from shared.core.events import EffectOutcome
from shared.core.json_text import EpochMs
from shared.core.targets import shown_target
from shared.feishu.codes import meaning
from shared.observability.often import Line, often
from worker.ledger.leased import Head
from worker.letters import is_dead_letter
from worker.performing.turn import Result


class EffectPerformed(Line, frozen=True, kw_only=True, tag="effect_performed"):
    """
    What became of an effect, or of one attempt at it.

    Attributes:
        meaning: Of the platform's code, in our words; `http_status` where it gave none.
        sent_message_id: The message that a send made.
        folded: How many older effects this one took the place of.
        since_received_ms: How long ago its input was received.
    """

    app_id: str
    event_id: str
    index: int
    k: int
    kind: str
    target: str
    status: str
    open_message_id: str | None = None
    attempts: int = 0
    code: int | None = None
    meaning: str | None = None
    http_status: int | None = None
    reason: str | None = None
    retry_at: EpochMs | None = None
    log_id: str | None = None
    sent_message_id: str | None = None
    folded: int = 0
    since_received_ms: int


def write_lines(came_to: Result) -> None:
    """Write a line for each outcome of a turn."""
    folded = sum(outcome.status == "superseded" for _, outcome in came_to.outcomes)
    for head, outcome in came_to.outcomes:
        is_loud = not outcome.final or is_dead_letter(outcome, followed=came_to.followed)
        line = _line(head, outcome, folded=0 if outcome.status == "superseded" else folded)
        often.write(msgspec.structs.replace(line, level="warning") if is_loud else line)


def _line(head: Head, outcome: EffectOutcome, *, folded: int) -> EffectPerformed:
    return EffectPerformed(
        app_id=outcome.app_id,
        event_id=outcome.event_id,
        open_message_id=outcome.message_id,
        index=outcome.index,
        k=outcome.k,
        kind=outcome.kind,
        target=shown_target(outcome.target),
        status=outcome.status if outcome.final else "retried",
        attempts=outcome.attempts,
        code=outcome.code,
        meaning=meaning(outcome.code),
        http_status=None if outcome.code is not None or outcome.status == "succeeded" else outcome.http_status,
        reason=outcome.reason,
        retry_at=outcome.retry_at,
        log_id=outcome.log_id,
        sent_message_id=outcome.sent_message_id,
        folded=folded,
        since_received_ms=outcome.finished_at - head.received_at,
    )
