"""
Events to bytes and back: CloudEvents 1.0 in Kafka's binary mode.

The value is the event as JSON; type, id, source, subject and time are headers, so that other programs can
filter without parsing. Old versions are upcast on reading; the log is never rewritten. Specification:
https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, assert_never

import msgspec

from shared.core.errors import NewerThanUs, Undecodable
from shared.core.events import (
    OUTCOME_STATUSES,
    Asked,
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
from shared.core.ids import AppId, EventId, OrderingKey, TenantKey, ordering_key
from shared.core.json_text import EpochMs

Headers = Sequence[tuple[str, bytes]]

PREFIX: Final = "lark.card."
VERSION: Final = 1

RECORD_TYPES: Final[Mapping[str, type[Event]]] = {
    f"{PREFIX}interaction.received.v{VERSION}": InteractionReceived,
    f"{PREFIX}interaction.answered.v{VERSION}": InteractionAnswered,
    f"{PREFIX}request.received.v{VERSION}": RequestReceived,
    f"{PREFIX}call.returned.v{VERSION}": CallReturned,
    f"{PREFIX}timer.fired.v{VERSION}": TimerFired,
    f"{PREFIX}redrive.requested.v{VERSION}": RedriveRequested,
    f"{PREFIX}decided.v{VERSION}": Decided,
    **{f"{PREFIX}effect.{status}.v{VERSION}": EffectOutcome for status in OUTCOME_STATUSES},
}
"""Every ``ce_type`` that is written today, and the type of its value."""

_ASKED: Final[Mapping[type[Asked], str]] = {
    InteractionReceived: "interaction.received",
    RequestReceived: "request.received",
    CallReturned: "call.returned",
    TimerFired: "timer.fired",
}

Decoders = Mapping[str, msgspec.json.Decoder[Event]]
_DECODERS: Final[Decoders] = {ce_type: msgspec.json.Decoder(of) for ce_type, of in RECORD_TYPES.items()}
_ENCODER: Final = msgspec.json.Encoder()
_SPECVERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", b"application/json")

Upcaster = Callable[[bytes], bytes]
UPCASTERS: Final[Mapping[str, tuple[str, Upcaster]]] = {}
"""Old ``ce_type`` to (next ``ce_type``, function of the value). Version 1 is the first: nothing to lift yet."""


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it goes to the log: ordering key, CloudEvents headers, JSON value, the event's time (ms)."""

    key: OrderingKey
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    timestamp: EpochMs

    def __repr__(self) -> str:
        """Name the record and nothing of what a person typed or a token."""
        return f"Encoded({self.key!r}, {len(self.value)} bytes)"


def encode(event: Event, *, traceparent: str | None = None) -> Encoded:
    """Return the record of ``event``; the same event gives the same bytes."""
    name, event_id, at = _identity(event)
    headers = [
        _SPECVERSION,
        ("ce_id", event_id.encode()),
        ("ce_type", _type(name)),
        ("ce_source", _source(event.app_id, event.tenant_key)),
        ("ce_time", _rfc3339(at).encode()),
        _CONTENT_TYPE,
    ]
    if event.message_id:
        headers.append(("ce_subject", event.message_id.encode()))
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    key = ordering_key(event.app_id, event.message_id, _beginning(event))
    return Encoded(key=key, headers=tuple(headers), value=_ENCODER.encode(event), timestamp=at)


def decode(
    headers: Headers,
    value: bytes | None,
    *,
    upcasters: Mapping[str, tuple[str, Upcaster]] = UPCASTERS,
    decoders: Decoders = _DECODERS,
) -> Event:
    """
    Return the event of a record.

    Args:
        headers: Of the record; types unknown to ``upcasters`` are read as they are.
        value: Of the record.
        upcasters: How older versions become today's.
        decoders: Of today's versions, by ``ce_type``.

    Raises:
        NewerThanUs: The type or its version is one that this program does not know yet.
        Undecodable: Not a record of ours, or its value does not have the type's shape.
    """
    ce_type = header(headers, "ce_type")
    if ce_type is None or value is None:
        raise Undecodable("the record has no ce_type header or no value")
    while ce_type in upcasters:
        ce_type, lift = upcasters[ce_type]
        value = lift(value)
    decoder = decoders.get(ce_type)
    if decoder is None:
        if ce_type.startswith(PREFIX):
            raise NewerThanUs(f"record type {ce_type} is newer than this program: upgrade workers before gateways")
        raise Undecodable(f"record type {ce_type!r} is not ours")
    try:
        return decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # msgspec names the path and the expected type, never the value.
        raise Undecodable(f"{ce_type}: {error}") from error


def readable(headers: Headers, value: bytes | None) -> Event | None:
    """
    Return the event of a record; ``None``: nobody can read it, and whoever reads history passes it over.

    Raises:
        NewerThanUs: What a newer program wrote must not be passed over.
    """
    try:
        return decode(headers, value)
    except NewerThanUs:
        raise
    except Undecodable:
        return None


def header(headers: Headers, name: str) -> str | None:
    """Return the first header of that name as text, if there is one."""
    for key, value in headers:
        if key == name:
            return value.decode("utf-8", "replace")
    return None


def _identity(event: Event) -> tuple[str, str, EpochMs]:
    """Return what the record is called, its id, and its time (ms)."""
    match event:
        case InteractionReceived() | RequestReceived() | CallReturned() | TimerFired():
            return _ASKED[type(event)], event.event_id, event.occurred_at
        case InteractionAnswered():
            return "interaction.answered", f"{event.event_id}/answered", event.answered_at
        case RedriveRequested():
            return "redrive.requested", f"{event.event_id}/redrive/{event.n}", event.requested_at
        case Decided():
            suffix = f"/{event.redrive}" if event.redrive else ""
            return "decided", f"{event.event_id}/decided{suffix}", event.occurred_at
        case EffectOutcome():
            return f"effect.{event.status}", f"{event.event_id}/{event.index}/{event.k}", event.finished_at
        case _ as unreachable:
            assert_never(unreachable)


def _beginning(event: Event) -> EventId:
    """Return the interaction that a record descends from: without a card, its story lies under that."""
    return event.origin if isinstance(event, CallReturned | TimerFired) else event.event_id


def _rfc3339(at: EpochMs) -> str:
    second, ms = divmod(at, 1000)
    try:
        return f"{_second(second)}.{ms:03}Z"
    except (ValueError, OverflowError, OSError):
        # A signed callback may claim any time; the record must still be written.
        return "1970-01-01T00:00:00.000Z"


@lru_cache(maxsize=64)  # of the closed list
def _type(name: str) -> bytes:
    return f"{PREFIX}{name}.v{VERSION}".encode()


@lru_cache(maxsize=1024)  # few apps and tenants make most records
def _source(app_id: AppId, tenant_key: TenantKey) -> bytes:
    return f"/lark/{app_id}/{tenant_key}".encode()


@lru_cache(maxsize=1024)  # records of one batch are of few seconds
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat(timespec="seconds")
