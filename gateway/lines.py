"""The one line of a callback."""

from gateway.reply import Reply
from shared.core.ids import AppId
from shared.observability.often import Line, often


class CallbackAnswered(Line, frozen=True, kw_only=True, tag="callback_answered"):
    """What became of a callback."""

    app_id: str
    kind: str
    outcome: str
    status: int
    ms: float
    delivered: bool
    cause: str | None = None
    hint: str | None = None
    request_id: str | None = None
    event_id: str | None = None
    open_message_id: str | None = None
    event_type: str | None = None
    rule: str | None = None


def tell(reply: Reply, app_id: AppId, seconds: float, *, delivered: bool) -> None:
    """Write the one line of a callback."""
    received = reply.received
    often.write(
        CallbackAnswered(
            level="warning" if reply.outcome in {"not_recorded", "parked", "rejected"} else "info",
            app_id=app_id,
            kind=reply.kind,
            outcome=reply.outcome,
            status=reply.status,
            ms=round(seconds * 1000, 1),
            delivered=delivered,
            cause=reply.cause,
            hint=reply.hint,
            request_id=reply.request_id,
            event_id=None if received is None else received.event_id,
            open_message_id=None if received is None else received.message_id,
            event_type=None if received is None else received.event_type,
            rule=None if received is None else received.answer.rule,
        )
    )
