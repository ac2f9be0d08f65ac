"""
The log as an AsyncAPI document: which topic holds which records, under which key, with which headers.

Published beside the schemas under docs/reference/events, for readers in any language and for tools that make
readers. https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.core.codec import RECORD_TYPES
from shared.core.events import Decided, EffectOutcome
from shared.core.schema import schema_name, schemas
from shared.eventlog.port import PARTITIONS, RETENTION_MS, TOPICS

IDS: Final[Mapping[str, Sequence[str]]] = {
    "lark.card.interaction.received.v1": ("<event_id>",),
    "lark.card.interaction.answered.v1": ("<event_id>/answered",),
    "lark.card.request.received.v1": ("req/<caller>/<request_id>",),
    "lark.card.call.returned.v1": ("<event_id>/<index>/returned",),
    "lark.card.timer.fired.v1": ("<event_id>/<index>/fired",),
    "lark.card.redrive.requested.v1": ("<event_id>/redrive/<n>",),
    "lark.card.decided.v1": ("<event_id>/decided", "<event_id>/decided/<n>"),
    "lark.card.effect.v1": ("<event_id>/<index>/<k>",),
}
"""How ``ce_id`` is built, by the name of the schema; ``n``, ``index`` and ``k`` are numbers."""

_NUMBERS: Final = frozenset({"index", "k", "n"})
_BINDING: Final = "0.5.0"
_RECORD_TRAIT: Final = "record"
_WORKER: Final = "parked.by.worker"
_GATEWAY: Final = "parked.by.gateway"


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of the three topics; the schemas of values stand beside it, by ``$ref``."""
    written = {ce_type: _is_outcome(of) for ce_type, of in RECORD_TYPES.items()}
    channels = {
        "interactions": _channel(
            TOPICS.interactions,
            "What came in: callbacks, marks that they were answered, requests, results of calls, reminders, redrives.",
            [ce_type for ce_type, is_outcome in written.items() if not is_outcome],
        ),
        "outcomes": _channel(
            TOPICS.outcomes,
            "What was decided on each input, and what became of each effect.",
            [ce_type for ce_type, is_outcome in written.items() if is_outcome],
        ),
        "dead": _channel(
            TOPICS.dead, "What could not be read, untouched, with the reason: for people.", [_WORKER, _GATEWAY]
        ),
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:cardwire:log",
        "info": _info(),
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {f"write.{name}": _write(name) for name in channels},
        "components": {
            "messages": {
                **{ce_type: _message(ce_type) for ce_type in RECORD_TYPES},
                _WORKER: _parked_by_worker(),
                _GATEWAY: _parked_by_gateway(),
            },
            "messageTraits": {_RECORD_TRAIT: _record_trait()},
            "parameters": {"prefix": _prefix()},
        },
    }


def _is_outcome(of: type) -> bool:
    return of in (Decided, EffectOutcome)


def _info() -> dict[str, Any]:
    return {
        "title": "Cardwire's log",
        "version": "1",
        "description": (
            "CloudEvents 1.0 in Kafka's binary mode: attributes are headers, the value is JSON. Readers are welcome, "
            "in any language; only Cardwire writes. Records of one key stand in one partition, in the order in which "
            "they were written; between keys there is no order. A record may come twice, with the same ce_id. "
            "Members and kinds are only ever added: ignore what you do not know; a changed meaning is a new type."
        ),
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    }


def _channel(topic: str, description: str, messages: Sequence[str]) -> dict[str, Any]:
    return {
        "address": f"{{prefix}}{topic}",
        "description": (
            f"{description} Kept {RETENTION_MS // 86_400_000} days, counted from when the broker took the record; "
            "never compacted."
        ),
        "parameters": {"prefix": {"$ref": "#/components/parameters/prefix"}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "partitions": PARTITIONS,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": RETENTION_MS},
                "bindingVersion": _BINDING,
            }
        },
    }


def _prefix() -> dict[str, Any]:
    return {
        "description": "CARDWIRE_TOPIC_PREFIX of a deployment that shares its brokers with others; else nothing.",
        "default": "",
        "examples": ["staging."],
    }


def _write(channel: str) -> dict[str, Any]:
    return {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}, "summary": "Cardwire writes; others read."}


def _message(ce_type: str) -> dict[str, Any]:
    name = schema_name(ce_type)
    schema = schemas()[name]
    title = schema["$ref"].rpartition("/")[2]
    return {
        "name": ce_type,
        "title": title,
        "summary": schema["$defs"][title]["description"],
        "traits": [{"$ref": f"#/components/messageTraits/{_RECORD_TRAIT}"}],
        "headers": _headers(ce_type, IDS[name]),
        "payload": {
            "schemaFormat": "application/schema+json;version=2020-12",
            "schema": {"$ref": f"./{name}.schema.json"},
        },
    }


def _record_trait() -> dict[str, Any]:
    key = {
        "type": "string",
        "pattern": "^[^:]+:.+$",
        "description": (
            "<app_id>:<message_id>, the message that the record is about or whose click it descends from; without one "
            "<app_id>:<event_id>, the interaction with which it all began. Partitions are by Kafka's hash (murmur2)."
        ),
    }
    return {"contentType": "application/json", "bindings": _keyed(key)}


def _headers(ce_type: str, ids: Sequence[str]) -> dict[str, Any]:
    """Return the schema of a record's headers, each as the text that its UTF-8 bytes are."""
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "pattern": _pattern(ids), "description": " or ".join(ids)},
            "ce_type": {"const": ce_type},
            "ce_source": {
                "type": "string",
                "pattern": "^/lark/[^/]+/[^/]*$",
                "description": "/lark/<app_id>/<tenant_key>",
            },
            "ce_subject": {"type": "string", "description": "The open_message_id, where the record has one."},
            "ce_time": {"type": "string", "format": "date-time", "description": "The event's own time."},
            "content-type": {"const": "application/json"},
            "traceparent": {
                "type": "string",
                "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
                "description": "W3C Trace Context: the trace that the record belongs to.",
            },
        },
    }


def _pattern(ids: Sequence[str]) -> str:
    pieces = "|".join(re.sub(r"<(\w+)>", lambda part: r"\d+" if part[1] in _NUMBERS else ".+", form) for form in ids)
    return f"^(?:{pieces})$"


def _keyed(key: dict[str, Any]) -> dict[str, Any]:
    return {"kafka": {"key": key, "bindingVersion": _BINDING}}


def _parked_by_worker() -> dict[str, Any]:
    return {
        "title": "Unreadable record",
        "summary": "A record that could not be decoded: its key, headers and bytes as they were, and where it stood.",
        "headers": _dead_headers(
            dlq_topic={"type": "string"},
            dlq_partition={"type": "string", "pattern": r"^\d+$"},
            dlq_offset={"type": "string", "pattern": r"^\d+$"},
        ),
        "contentType": "application/octet-stream",
    }


def _parked_by_gateway() -> dict[str, Any]:
    key = {"type": "string", "pattern": "^[^:]+:[0-9a-f]{64}$", "description": "<app_id>:<SHA-256 of the value>"}
    return {
        "title": "Unreadable callback",
        "summary": "The body of a genuine callback that could not be understood, as it came.",
        "headers": _dead_headers(dlq_source={"const": "gateway"}),
        "contentType": "application/octet-stream",
        "bindings": _keyed(key),
    }


def _dead_headers(**headers: dict[str, Any]) -> dict[str, Any]:
    reason = {"type": "string", "description": "Why, in words."}
    return {
        "type": "object",
        "required": [*headers, "dlq_reason"],
        "properties": {**headers, "dlq_reason": reason},
    }
