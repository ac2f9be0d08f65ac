"""A click is one trace, from the caller's own span to the platform's answer, through log and ledger."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared.core.codec import header
from shared.observability.traces import Traces, traces_to
from tests.scenario.handlers import COUNT, PATCH, app_of_stories
from tests.support import callbacks
from tests.support.facts import click, mark
from tests.support.world import World, files, world

pytestmark = pytest.mark.slow

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "what-nobody-is-to-see"


@pytest.fixture
def told() -> Any:
    """Spans that were told of."""
    memory = pytest.importorskip(
        "opentelemetry.sdk.trace.export.in_memory_span_exporter", reason="OpenTelemetry's SDK: run make setup"
    )
    return memory.InMemorySpanExporter()


@pytest.fixture
def traces(told: Any) -> Traces:
    """Where to tell of them."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415  with the SDK alone

    return traces_to(SimpleSpanProcessor(told), "cardwire-test")


async def _records(running: World) -> Iterator[str | None]:
    found: list[str | None] = []
    for topic in (running.topics.interactions, running.topics.outcomes):
        for partition, span in (await running.event_log.spans(topic)).items():
            records = await running.event_log.read(topic, partition, span.begin, limit=100)
            found += [header(record.headers, "traceparent") for record in records]
    return iter(found)


async def test_a_click_is_one_trace(tmp_path: Path, told: Any, traces: Traces) -> None:
    """Gateway, decision, effect and call: each the child of the one before, and nothing of what was typed."""
    async with world(files(tmp_path), app_of_stories(), workers=0, traces=traces) as running:
        await running.start_worker(traces=traces)
        message_id = running.simulator.put_card(
            await running.chat(), {"config": {"update_multi": True}, "elements": []}
        )
        await _post(running, _click(running, "ev1", message_id), traceparent=CALLER)
        await running.quiet()
        spans = {span.name: span for span in told.get_finished_spans()}
        assert {"callback", "decide", "effect", "call"} == set(spans)
        chain = [spans[name] for name in ("callback", "decide", "effect", "call")]
        assert {CALLER.split("-")[1]} == {f"{span.context.trace_id:032x}" for span in chain}
        parents = [f"{span.parent.span_id:016x}" for span in chain]
        assert [CALLER.split("-")[2], *(f"{span.context.span_id:016x}" for span in chain[:-1])] == parents
        assert {"ev1"} == {span.attributes["cardwire.event_id"] for span in chain[:-1]}
        assert PATCH == chain[-1].attributes["cardwire.api"]
        assert all(span.start_time <= span.end_time for span in chain)
        assert SECRET not in json.dumps([json.loads(span.to_json()) for span in chain])
        named = {f"00-{CALLER.split('-')[1]}-{chain[0].context.span_id:016x}-01"}
        assert named == set(await _records(running))


async def test_without_a_collector_a_callers_trace_is_passed_on(tmp_path: Path) -> None:
    """Other readers of the log may know of it; nothing is told of by us."""
    async with world(files(tmp_path), app_of_stories()) as running:
        message_id = running.simulator.put_card(
            await running.chat(), {"config": {"update_multi": True}, "elements": []}
        )
        await _post(running, _click(running, "ev1", message_id), traceparent=CALLER)
        await running.quiet()
        assert {CALLER} == set(await _records(running))
        await _post(running, _click(running, "ev2", message_id), traceparent="not-a-trace")
        await running.quiet()
        assert {CALLER, None} == set(await _records(running))


async def test_a_record_without_a_trace_is_told_of_by_nobody(tmp_path: Path, told: Any, traces: Traces) -> None:
    """A gateway that tells of no spans: the worker begins none."""
    async with world(files(tmp_path), app_of_stories(), workers=0) as running:
        await running.start_worker(traces=traces)
        clicked = click("e1", value=COUNT, message_id=None)
        await running.append(clicked, mark(clicked))
        await running.quiet()
    assert () == told.get_finished_spans()


def _click(running: World, event_id: str, message_id: str) -> Any:
    """Return the body of a click on a button that counts."""
    return callbacks.click(
        event_id,
        app_id=running.env["LARK_APP_ID"],
        token=running.env["LARK_VERIFICATION_TOKEN"],
        message_id=message_id,
        value={**COUNT, "note": SECRET},
    )


async def _post(running: World, body: Any, *, traceparent: str) -> None:
    key = running.env["LARK_ENCRYPT_KEY"]
    wire = callbacks.signed(callbacks.encrypted(body, key=key), key=key, at=time.time_ns() // 1_000_000)
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{running.gateway.url}/webhook/card",
            data=wire.body,
            headers={**wire.headers, "traceparent": traceparent},
        ) as answer,
    ):
        assert 200 == answer.status
