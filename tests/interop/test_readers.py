"""
Our topics as others read them: with public packages and in another language, knowing docs/reference/events alone.

A real Kafka holds a record of every type; nothing of ours reads it.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event

from shared.core.codec import RECORD_TYPES, encode, header
from shared.core.events import Decided, EffectOutcome, Event
from shared.eventlog.port import NewRecord, Topics
from tests.support import ServiceMissing, npm
from tests.support.documents import ROOT
from tests.support.event_logs import KafkaBackend
from tests.unit.core.golden import GOLDEN

pytestmark = [pytest.mark.interop, pytest.mark.slow]

CONTRACT: Final = ROOT / "docs" / "reference" / "events"
EXAMPLE: Final = ROOT / "examples" / "consumer"
READ_S: Final = 60.0


@asynccontextmanager
async def _written(kafka: str) -> AsyncIterator[Topics]:
    """Yield the topics of a deployment that wrote every golden record."""
    backend = KafkaBackend(kafka)
    try:
        log = backend.open()
        await log.create([backend.topics.interactions, backend.topics.outcomes, backend.topics.dead])
        for event, traceparent in GOLDEN.values():
            await log.append([NewRecord.of(_topic(event, backend.topics), encode(event, traceparent=traceparent))])
        yield backend.topics
    finally:
        await backend.close()


def _topic(event: Event, topics: Topics) -> str:
    return topics.outcomes if isinstance(event, Decided | EffectOutcome) else topics.interactions


async def _read(kafka: str, topics: Topics) -> Sequence[ConsumerRecord[bytes, bytes]]:
    consumer = AIOKafkaConsumer(
        topics.interactions, topics.outcomes, bootstrap_servers=kafka, auto_offset_reset="earliest"
    )
    async with consumer, asyncio.timeout(READ_S):
        return [await consumer.getone() for _ in GOLDEN]


def _message_of(document: dict[str, Any], topic: str, prefix: str, ce_type: str) -> dict[str, Any]:
    """Return what the AsyncAPI document says of a type's messages in a topic."""
    (channel,) = [
        each for each in document["channels"].values() if each["address"] == "{prefix}" + topic[len(prefix) :]
    ]
    assert ce_type in channel["messages"]
    message = document["components"]["messages"][ce_type]
    assert isinstance(message, dict)
    return message


def _described(event: BaseCloudEvent) -> dict[str, str | None]:
    """Return what must be in the record, told from the value alone."""
    data = event.get_data()
    assert isinstance(data, dict)
    source = f"/lark/{data['app_id']}/{data['tenant_key']}"
    return {"source": source, "subject": data.get("message_id")}


@pytest.mark.kafka
async def test_public_packages_read_and_accept_a_record_of_every_type(kafka: str) -> None:
    """The CloudEvents package parses each record; a JSON Schema validator finds headers and value as published."""
    document = json.loads((CONTRACT / "asyncapi.json").read_text())
    seen = set()
    async with _written(kafka) as topics:
        records = await _read(kafka, topics)
    prefix = topics.dead.removesuffix(Topics().dead)
    for record in records:
        assert record.key is not None
        assert record.value is not None
        headers = dict(record.headers)
        event = from_binary_event(KafkaMessage(headers=headers, key=record.key, value=record.value))
        message = _message_of(document, record.topic, prefix, event.get_type())
        texts = {name: text.decode() for name, text in headers.items()}
        jsonschema.Draft7Validator(message["headers"]).validate(texts)
        schema = json.loads((CONTRACT / message["payload"]["schema"]["$ref"]).read_text())
        jsonschema.Draft202012Validator(schema).validate(event.get_data())
        assert ("1.0", "application/json") == (event.get_specversion(), event.get_datacontenttype())
        assert _described(event) == {"source": event.get_source(), "subject": event.get_subject()}
        seen.add(event.get_type())
    assert set(RECORD_TYPES) == seen
    assert {header(encode(event).headers, "ce_id") for event, _ in GOLDEN.values()} == {
        dict(record.headers)["ce_id"].decode() for record in records
    }


def test_the_asyncapi_document_is_valid(tmp_path: Path) -> None:
    """Its authors' own JSON Schema accepts it, and refuses one with a word that AsyncAPI does not have."""
    folder = _or_skip(Path(__file__).parent / "asyncapi", tmp_path)
    schema = folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"
    validator = jsonschema.Draft7Validator(json.loads(schema.read_text()))
    document = json.loads((CONTRACT / "asyncapi.json").read_text())
    assert [] == [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    document["channels"]["outcomes"]["adress"] = "lark.card.outcomes.v1"
    assert not validator.is_valid(document)


@pytest.mark.kafka
async def test_the_example_in_node_prints_a_line_for_each_outcome(kafka: str, tmp_path: Path) -> None:
    """Twenty lines of another language are enough to follow what was decided and done."""
    folder = _or_skip(EXAMPLE, tmp_path)
    outcomes = [event for event, _ in GOLDEN.values() if isinstance(event, Decided | EffectOutcome)]
    async with _written(kafka) as topics:
        printed = await _printed(folder, kafka, topics.dead.removesuffix(Topics().dead), lines=len(outcomes))
    assert sorted(_line(event) for event in outcomes) == sorted(printed)


def _line(event: Decided | EffectOutcome) -> str:
    headers = encode(event).headers
    told = [header(headers, f"ce_{name}") or "-" for name in ("time", "type", "id", "subject")]
    kind, result = (event.kind, "") if isinstance(event, EffectOutcome) else ("", event.result)
    return " ".join([*told, kind, result, event.reason or ""])


async def _printed(folder: Path, kafka: str, prefix: str, *, lines: int) -> Sequence[str]:
    names = {"KAFKA": kafka, "CARDWIRE_TOPIC_PREFIX": prefix, "GROUP": f"{prefix}example"}
    reader = await asyncio.create_subprocess_exec(
        npm.node(),
        "outcomes.js",
        cwd=folder,
        env={**os.environ, **names},
        stdout=asyncio.subprocess.PIPE,
    )
    assert reader.stdout is not None
    try:
        async with asyncio.timeout(READ_S):
            return [(await reader.stdout.readline()).decode().rstrip("\n") for _ in range(lines)]
    finally:
        reader.kill()
        await reader.wait()


def _or_skip(folder: Path, into: Path) -> Path:
    try:
        return npm.installed(folder, into)
    except ServiceMissing as missing:
        pytest.skip(str(missing))
