"""
A record of the log as `cardwire log tail` shows it (pure): a line for people, or a whole CloudEvent for programs.

Tokens are never shown. What people typed, and what cards and handlers say, is shown to programs that ask for it; else
only what is named here is.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, assert_never

from cardwire.cli.texts import plain, time_text
from shared.core.codec import PREFIX, RECORD_TYPES, decode, header
from shared.core.errors import NewerThanUs, Undecodable
from shared.core.events import (
    CallReturned,
    Decided,
    EffectOutcome,
    Event,
    InteractionAnswered,
    InteractionReceived,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.secret import HIDDEN
from shared.core.targets import shown_target
from shared.eventlog.port import Record

TOKENS: Final = frozenset({"card_token", "preview_token", "app_ticket", "token"})

SHOWN: Final = frozenset({
    "event_id", "kind", "app_id", "tenant_key", "open_id", "user_id", "union_id", "message_id", "chat_id", "host",
    "delivery_type", "event_type", "tag", "name", "rule", "occurred_at", "received_at", "request_id", "delivery_key",
    "delivered", "answered_at", "partition", "offset", "result", "redrive", "handler", "digest", "reason", "version",
    "newest_at", "late", "parks", "sent_at", "winners", "voters", "decided_at", "requests", "index", "target",
    "audience", "coalesce", "eligibility", "order", "due", "k", "status", "final", "retry_at", "folded", "attempts",
    "code", "http_status", "log_id", "sent_message_id", "shown", "shown_order", "card_format", "way", "because",
    "card_id", "sequence", "uses_left", "started_at", "finished_at", "marked_at", "caller", "origin", "clicked_at",
    "key", "n", "requested_at",
})  # fmt: skip
"""What is shown of data: ids, times, numbers, and words of closed lists or of a handler's author."""

INSIDE: Final = frozenset({"operator", "action", "answer", "seen", "effects"})
"""What is looked into; an effect itself is told by its kind alone."""


def line(record: Record) -> str:
    """Return a record as a line: when, what, which card, which id, and a few words."""
    ce_type = (header(record.headers, "ce_type") or "(no type)").removeprefix(PREFIX).removesuffix(".v1")
    parts = (
        (header(record.headers, "ce_time") or time_text(record.timestamp)).replace("T", " "),
        f"{ce_type:<20}",
        header(record.headers, "ce_subject") or "-",
        header(record.headers, "ce_id") or "-",
        _words(record),
    )
    return plain("  ".join(part for part in parts if part))


def cloud_event(record: Record, *, show_values: bool) -> Mapping[str, Any]:
    """
    Return a record as a CloudEvent in structured form, with its place in the log as ``--from`` takes it.

    Args:
        show_values: Also what people typed, what cards say, what handlers keep. Data that is none of ours is left out.
    """
    names = {
        "specversion": "ce_specversion", "id": "ce_id", "type": "ce_type", "source": "ce_source",
        "subject": "ce_subject", "time": "ce_time", "datacontenttype": "content-type", "traceparent": "traceparent",
    }  # fmt: skip
    found = {name: header(record.headers, under) for name, under in names.items()}
    told: dict[str, Any] = {name: text for name, text in found.items() if text is not None}
    told |= {"partitionkey": record.key, "logplace": f"{record.topic}/{record.partition}/{record.offset}"}
    if found["type"] in RECORD_TYPES:
        try:
            data = json.loads(record.value)
        except ValueError:
            return told
        told["data"] = without_tokens(data) if show_values else less(data)
    return told


def without_tokens(value: Any) -> Any:
    """Return data without any token."""
    match value:
        case dict():
            return {name: without_tokens(part) for name, part in value.items() if name not in TOKENS}
        case list():
            return [without_tokens(part) for part in value]
        case _:
            return value


def less(value: Any) -> Any:
    """Return data without any token, with ``***`` in place of what is not known to be harmless."""
    if not isinstance(value, dict):
        return HIDDEN
    return {name: _less(name, part) for name, part in value.items() if name not in TOKENS}


def _less(name: str, part: Any) -> Any:
    if name == "effects" and isinstance(part, list):
        return [_effect(each) for each in part]
    if name in INSIDE:
        return less(part)
    if name not in SHOWN or isinstance(part, dict):
        return HIDDEN
    return shown_target(part) if name == "target" else part


def _effect(value: Any) -> Any:
    """Return an effect, planned or asked for, by its kind."""
    if not isinstance(value, dict):
        return HIDDEN
    if "effect" not in value:
        return {"kind": value.get("kind")}
    kind = value["effect"].get("kind") if isinstance(value["effect"], dict) else None
    return {**less({name: part for name, part in value.items() if name != "effect"}), "effect": {"kind": kind}}


def _words(record: Record) -> str:
    try:
        return _said(decode(record.headers, record.value))
    except NewerThanUs:
        return "newer than this program"
    except Undecodable:
        return "nobody can read it"


def _said(event: Event) -> str:
    match event:
        case InteractionReceived():
            what = event.event_type or event.action.name or event.action.tag or event.kind
            return f"{what} by {event.operator.open_id or 'somebody'}, answered by {event.answer.rule}"
        case InteractionAnswered():
            return "delivered" if event.delivered else "not delivered"
        case RequestReceived():
            return f"by {event.caller}: {_counted(len(event.effects), 'effect')}"
        case CallReturned() | TimerFired() | RedriveRequested():
            return _come_back(event)
        case Decided() | EffectOutcome():
            return _come_to(event)
        case _ as unreachable:
            assert_never(unreachable)


def _come_back(event: CallReturned | TimerFired | RedriveRequested) -> str:
    match event:
        case CallReturned():
            return f"{event.name} {'came back' if event.error is None else 'failed'}"
        case TimerFired():
            return event.key
        case RedriveRequested():
            return f"redrive {event.n}"
        case _ as unreachable:
            assert_never(unreachable)


def _come_to(event: Decided | EffectOutcome) -> str:
    why = "" if event.reason is None else f" ({event.reason})"
    match event:
        case Decided():
            by = "" if event.handler is None else f"{event.handler}: "
            return f"{by}{event.result}{why}, version {event.version}, {_counted(len(event.effects), 'effect')}"
        case EffectOutcome():
            code = "" if not event.code else f", code {event.code}"
            again = "" if event.final else ", tried again"
            return f"{event.kind} {event.index} of {shown_target(event.target)}{why}{code}{again}"
        case _ as unreachable:
            assert_never(unreachable)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
