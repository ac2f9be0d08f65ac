"""What a record tells of its event, as a moment of a story: when, what, and the facts of it (pure)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, assert_never

import msgspec

from shared.core.events import (
    CallReturned,
    Decided,
    EffectOutcome,
    Event,
    InteractionAnswered,
    InteractionReceived,
    PlannedEffect,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.json_text import EpochMs, JsonText, json_value
from shared.core.targets import shown_target

What = Literal["received", "requested", "returned", "reminded", "answered", "redriven", "decided", "outcome"]

STAGES: Final[Mapping[What, int]] = {
    "received": 0, "requested": 0, "returned": 0, "reminded": 0, "answered": 1, "redriven": 2, "decided": 3,
    "outcome": 4,
}  # fmt: skip
"""The order of what has the same time."""


class Moment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    Something that happened to an event.

    Attributes:
        at: When, by the clock of whoever wrote it down (ms): a gateway's for what came in, else the ledger's.
        message_id: The card that the event is about.
        facts: What is told of it; nothing that a person typed, and no token.
        values: What a person typed, where it was asked for.
        card: JSON text of the card that is meant to be shown from now on, where it was asked for.
    """

    at: EpochMs
    what: What
    app_id: str
    event_id: str
    message_id: str | None = None
    topic: str
    partition: int
    offset: int
    facts: dict[str, Any] = {}
    values: dict[str, Any] = {}
    card: str | None = None


def moment_of(event: Event, topic: str, place: tuple[int, int], *, with_values: bool = False) -> Moment:
    """Return what a record tells; ``place`` is its partition and its offset."""
    what, at, facts = _told(event)
    return Moment(
        at=at,
        what=what,
        app_id=event.app_id,
        event_id=event.event_id,
        message_id=event.message_id,
        topic=topic,
        partition=place[0],
        offset=place[1],
        facts={name: value for name, value in facts.items() if value is not None and value is not False},
        values=_values(event) if with_values else {},
        card=event.intended if with_values and isinstance(event, Decided) and event.version else None,
    )


def _told(event: Event) -> tuple[What, EpochMs, dict[str, Any]]:  # noqa: PLR0911 - one for each kind of record
    match event:
        case InteractionReceived():
            return "received", event.received_at, _received(event)
        case RequestReceived():
            effects = [type(effect).__name__ for effect in event.effects]
            return "requested", event.received_at, {"caller": event.caller, "effects": effects}
        case CallReturned():
            came = {"call": event.name, "failed": event.error is not None, "origin": event.origin}
            return "returned", event.received_at, {**came, "open_id": event.operator.open_id}
        case TimerFired():
            return "reminded", event.received_at, {"key": event.key, "due": event.due, "origin": event.origin}
        case InteractionAnswered():
            return (
                "answered",
                event.answered_at,
                {"delivered": event.delivered or None, "undelivered": not event.delivered},
            )
        case RedriveRequested():
            return "redriven", event.requested_at, {"redrive": event.n}
        case Decided():
            return "decided", event.decided_at, _decided(event)
        case EffectOutcome():
            return "outcome", event.finished_at, dict(_outcome(event))
        case _ as unreachable:
            assert_never(unreachable)


def _received(event: InteractionReceived) -> dict[str, Any]:
    answer = event.answer
    shown = [name for name in ("toast", "card", "inline", "custom") if getattr(answer, name) is not None]
    return {
        "kind": event.kind,
        "event_type": event.event_type,
        "open_id": event.operator.open_id,
        "tag": event.action.tag,
        "chat_id": event.chat_id,
        "occurred_at": event.occurred_at,
        "request_id": event.request_id,
        "answered_by": answer.rule,
        "answered_with": shown or None,
    }


def _decided(event: Decided) -> dict[str, Any]:
    return {
        "result": event.result,
        "handler": event.handler,
        "digest": event.digest,
        "reason": event.reason,
        "version": event.version or None,
        "late": event.late,
        "parks": event.parks,
        "redrive": event.redrive or None,
        "open_id": event.open_id,
        "effects": [_planned(planned) for planned in event.effects] or None,
        "requests": list(event.requests) or None,
    }


def _planned(planned: PlannedEffect) -> dict[str, Any]:
    told = {"index": planned.index, "kind": type(planned.effect).__name__, "target": shown_target(planned.target)}
    return told if planned.due is None else {**told, "due": planned.due}


def _outcome(event: EffectOutcome) -> Iterator[tuple[str, Any]]:
    yield "index", event.index
    yield "kind", event.kind
    yield "target", shown_target(event.target)
    yield "status", event.status
    yield "outcome", event.k
    yield "final", event.final
    names = (
        "reason", "code", "http_status", "log_id", "retry_at", "sent_message_id", "uses_left", "sequence", "way",
        "started_at", "marked_at",
    )  # fmt: skip
    for name in names:
        yield name, getattr(event, name)
    yield "attempts", event.attempts or None
    yield "folded", event.folded or None


def _values(event: Event) -> dict[str, Any]:
    """Return what a person typed or chose; JSON as it was received, read."""
    match event:
        case InteractionReceived():
            action = event.action
            told: dict[str, Any] = {
                name: value
                for name in ("name", "input_value", "option", "options", "checked")
                if (value := getattr(action, name)) is not None
            }
            told |= {"url": event.url} if event.url is not None else {}
            texts: dict[str, JsonText | None] = {"value": action.value, "form_value": action.form_value}
        case CallReturned():
            told = {} if event.error is None else {"error": event.error}
            texts = {"value": event.value}
        case Decided():
            told, texts = {}, {"state": event.state}
        case _:
            return {}
    return {**told, **{name: _read(text) for name, text in texts.items() if text is not None}}


def _read(text: JsonText) -> Any:
    try:
        return json_value(text)
    except (ValueError, RecursionError):
        return text
