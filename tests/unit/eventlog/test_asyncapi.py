import json
import re
from collections.abc import Iterator
from typing import Any, Final

import jsonschema
import pytest

from shared.core.codec import RECORD_TYPES, encode
from shared.core.events import Decided, EffectOutcome, Event
from shared.eventlog.asyncapi import asyncapi
from shared.eventlog.kafka.options import KafkaOptions
from shared.eventlog.kafka.topics import wanted
from shared.eventlog.port import Record, Topics
from tests.support.documents import ROOT
from tests.unit.core.golden import GOLDEN
from worker.deciding.batch import parked

PUBLISHED: Final = ROOT / "docs" / "reference" / "events"
DOCUMENT: Final = asyncapi()


def _references(node: object) -> Iterator[str]:
    match node:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for inner in node.values():
                yield from _references(inner)
        case list():
            for inner in node:
                yield from _references(inner)
        case _:
            pass


def _at(pointer: str) -> Any:
    found: Any = DOCUMENT
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part]
    return found


def _is_valid(value: object, schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(schema).validate(value)


def _texts(headers: tuple[tuple[str, bytes], ...]) -> dict[str, str]:
    return {name: text.decode() for name, text in headers}


def test_the_published_document_is_that_of_the_code() -> None:
    """A changed topic or record type shows in the document (run docs/reference/events/generate.py)."""
    assert json.loads((PUBLISHED / "asyncapi.json").read_text()) == json.loads(json.dumps(DOCUMENT))


def test_every_reference_leads_somewhere() -> None:
    """Tools that make readers follow them."""
    references = set(_references(DOCUMENT))
    inside = {reference for reference in references if reference.startswith("#/")}
    assert [] == [reference for reference in inside if not _at(reference)]
    schemas = {path.name for path in PUBLISHED.glob("*.schema.json")}
    assert {f"./{name}" for name in schemas} == references - inside


def test_channels_are_the_topics_of_a_deployment() -> None:
    """The address with its prefix is the name of the topic."""
    topics = Topics.prefixed("staging.")
    addresses = {name: channel["address"].replace("{prefix}", "staging.") for name, channel in _at("channels").items()}
    assert {"interactions": topics.interactions, "outcomes": topics.outcomes, "dead": topics.dead} == addresses


def test_a_channel_tells_what_topics_are_made_with() -> None:
    """Partitions, retention and no compaction are those of `cardwire topics create`."""
    made = wanted(KafkaOptions(), brokers=3)
    for channel in _at("channels").values():
        said = channel["bindings"]["kafka"]
        assert made.partitions == said["partitions"]
        assert [made.settings["cleanup.policy"]] == said["topicConfiguration"]["cleanup.policy"]
        assert made.settings["retention.ms"] == str(said["topicConfiguration"]["retention.ms"])
        assert "Kept 33 days" in channel["description"]


def test_every_record_type_is_a_message_of_one_channel() -> None:
    """A reader of a header finds where it comes from."""
    listed = [name for channel in ("interactions", "outcomes") for name in _at(f"channels/{channel}/messages")]
    assert sorted(RECORD_TYPES) == sorted(listed)


@pytest.mark.parametrize("name", list(GOLDEN))
def test_a_golden_records_key_and_headers_are_as_described(name: str) -> None:
    """What the document says of a message is true of the bytes that are written."""
    event, traceparent = GOLDEN[name]
    record = encode(event, traceparent=traceparent)
    headers = _texts(record.headers)
    message = _at(f"channels/{_channel(event)}/messages")[headers["ce_type"]]
    described = _at(message["$ref"])
    _is_valid(headers, described["headers"])
    _is_valid(record.key, _at(described["traits"][0]["$ref"])["bindings"]["kafka"]["key"])
    assert set(headers) <= set(described["headers"]["properties"])


def _channel(event: Event) -> str:
    return "outcomes" if isinstance(event, Decided | EffectOutcome) else "interactions"


@pytest.mark.parametrize("name", list(RECORD_TYPES))
def test_the_headers_of_another_type_are_refused(name: str) -> None:
    """A description that any record fits would say nothing."""
    of_message = jsonschema.Draft7Validator(_at(f"components/messages/{name}")["headers"])
    others = [_texts(encode(event).headers) for event, _ in GOLDEN.values()]
    assert {name} == {headers["ce_type"] for headers in others if of_message.is_valid(headers)}


def test_a_decisions_id_is_refused_for_an_effect() -> None:
    """Each type has its own form of ``ce_id``."""
    form = _at("components/messages")["lark.card.effect.succeeded.v1"]["headers"]["properties"]["ce_id"]["pattern"]
    assert [True, False, False] == [bool(re.search(form, ce_id)) for ce_id in ("e/0/1", "e/decided", "e/0/returned")]


def test_a_parked_records_headers_are_as_described() -> None:
    """Whoever looks after dead letters learns where they stood."""
    record = Record(topic="t", partition=3, offset=7, key="k", value=b"?", headers=(), timestamp=1)
    described = _at("components/messages")["parked.by.worker"]
    headers = _texts(parked(record, "no ce_type", "dead").headers)
    _is_valid(headers, described["headers"])
    assert set(headers) == set(described["headers"]["properties"])
