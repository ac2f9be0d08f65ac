import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from gateway.accept import Gate
from gateway.admission import Admission
from gateway.answer import Answers
from gateway.append import Appender
from gateway.credentials import Credentials
from gateway.reply import Arrival, Reply
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.clock import ManualClock
from shared.core.cards import Toast
from shared.core.codec import decode
from shared.core.decision import Card
from shared.core.errors import LogUnavailable
from shared.core.events import InteractionAnswered, InteractionReceived
from shared.core.ids import AppId
from shared.eventlog.asyncapi import asyncapi
from shared.eventlog.port import Record, Topics
from shared.feishu.signature import identity
from shared.observability.metrics import CALLBACKS, GATEWAY_METRICS, REFUSALS, UNDELIVERED, Metrics
from tests.support.admitting import BOTH_STYLES, assert_marks_lie_behind, headers_of
from tests.support.callbacks import (
    APP_ID,
    CARD_TOKEN,
    ENCRYPT_KEY,
    NOW,
    VERIFICATION_TOKEN,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
    subscribed,
    verification,
)
from tests.support.testable_log import TestableLog

TOPICS = Topics()

app = App()


@app.on_action("follow_up", answer=Toast.info("正在跟进"))
def follow_up(click: Interaction, card: Card | None) -> None:
    """Handle a click."""


@app.on_action("silent")
def silent(click: Interaction, card: Card | None) -> None:
    """Handle a click without a word."""


@app.on_event("im.chat.updated_v1")
def chat_updated(event: Interaction, card: Card | None) -> None:
    """Handle an event."""


@app.on_action(lambda click: "zero" in str(click.value) and bool(1 / click.value["zero"]))
def stumbling(click: Interaction, card: Card | None) -> None:
    """Never reached: its predicate raises for the values that it is meant for."""


class World:
    """A gate between a clock and a log."""

    def __init__(
        self, credentials: Credentials, *, keep_callback: bool = True, max_record_bytes: int = 1_000_000
    ) -> None:
        self.clock = ManualClock(NOW)
        self.metrics = Metrics(*GATEWAY_METRICS)
        self.log = TestableLog(max_record_bytes=max_record_bytes)
        self.appender = Appender(self.log, clock=self.clock, metrics=self.metrics)
        self.appender.start()
        self.answers = Answers(app, metrics=self.metrics)
        self.gate = Gate(
            app_id=AppId(APP_ID),
            admission=Admission(credentials),
            app=app,
            answers=self.answers,
            appender=self.appender,
            topics=TOPICS,
            clock=self.clock,
            metrics=self.metrics,
            keep_callback=keep_callback,
        )

    async def send(self, wire: Wire, *, delivered: bool = True) -> Reply:
        """Send a request, and write its reply."""
        reply = await self.gate.accept(self.arrival(wire))
        self.gate.answered(reply, delivered=delivered)
        return reply

    def arrival(self, wire: Wire) -> Arrival:
        """Return a request as a front end makes it."""
        return Arrival(body=wire.body, headers=headers_of(wire), started=self.clock.monotonic())

    async def close(self) -> None:
        """Let go of what belongs to it."""
        self.log.error = None
        await self.appender.close()
        self.answers.close()

    async def records(self, topic: str = TOPICS.interactions) -> list[Record]:
        """Return what is in the log, once all marks are."""
        await self.appender.close()
        return await self.log.all(topic)

    async def events(self) -> list[Any]:
        """Return the events in the log."""
        return [decode(record.headers, record.value) for record in await self.records()]

    async def received(self) -> InteractionReceived:
        """Return the one interaction in the log."""
        [received] = [event for event in await self.events() if isinstance(event, InteractionReceived)]
        return received


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Yield a gate with an Encrypt Key that lets both styles in."""
    world = World(BOTH_STYLES)
    yield world
    await world.close()


@pytest.fixture
async def token_only() -> AsyncIterator[World]:
    """Yield a gate without an Encrypt Key."""
    world = World(
        replace(BOTH_STYLES, encrypt_keys=()),
        keep_callback=False,
    )
    yield world
    await world.close()


def _toast(reply: Reply) -> dict[str, Any]:
    body: dict[str, dict[str, Any]] = json.loads(reply.body)
    assert {"toast"} == body.keys()
    return body["toast"]


class TestRecorded:
    """Callbacks that come in."""

    async def test_a_click_is_recorded_and_answered_with_its_handlers_toast(self, world: World) -> None:
        """The answer is part of the fact."""
        reply = await world.send(signed(encrypted(click())))
        assert (200, "正在跟进") == (reply.status, _toast(reply)["content"])
        received = await world.received()
        assert ("ev1", "card_action", "om_1", "oc_1", "follow_up") == (
            received.event_id,
            received.kind,
            received.message_id,
            received.chat_id,
            received.answer.rule,
        )
        assert (NOW, NOW, APP_ID, "t1") == (
            received.occurred_at,
            received.received_at,
            received.app_id,
            received.tenant_key,
        )
        assert Toast.info("正在跟进") == received.answer.toast

    async def test_a_legacy_click_is_recorded_under_its_signatures_digest(self, world: World) -> None:
        """It carries no id of its own."""
        wire = signed_legacy(plain(legacy_click()))
        reply = await world.send(wire)
        assert "正在跟进" == _toast(reply)["content"]
        received = await world.received()
        assert (identity(wire.headers["X-Lark-Signature"]), "card_action_v1") == (received.event_id, received.kind)

    @pytest.mark.parametrize("value", [{"action": "silent"}, {"action": "unknown"}, "anything", 7, [1], True])
    async def test_a_click_without_a_declared_answer_changes_nothing_on_the_screen(
        self, world: World, value: object
    ) -> None:
        """An empty object, never an empty body, which the client shows as an error; recorded all the same."""
        assert b"{}" == (await world.send(signed(encrypted(click(value=value))))).body
        assert "default" == (await world.received()).answer.rule

    async def test_an_event_with_a_handler_is_recorded(self, world: World) -> None:
        """And acknowledged, without a mark: nobody waits."""
        assert b"{}" == (await world.send(signed(encrypted(subscribed())))).body
        assert ["im.chat.updated_v1"] == [event.event_type for event in await world.events()]

    async def test_the_same_bytes_have_the_same_delivery_key(self, world: World) -> None:
        """Repetitions are recorded and told apart by the worker."""
        for _ in range(2):
            await world.send(signed(encrypted(click())))
        first, second = [event for event in await world.events() if isinstance(event, InteractionReceived)]
        assert first.delivery_key is not None
        assert first.delivery_key == second.delivery_key

    @pytest.mark.parametrize(
        "value",
        [
            '{"text":"a\\u0000b"}',
            '{"text":"\\ud800"}',
            '{"n":1e400}',
            '{"n":123456789012345678901234567890}',
            '{"n":' + "9" * 5000 + "}",
            '"' + "long " * 1000 + '"',
            "[" * 90 + "]" * 90,
        ],
    )
    async def test_values_survive_to_the_byte(self, world: World, value: str) -> None:
        """What strict parsers refuse is an honest click still."""
        body = plain(click(value="HERE")).replace(b'"HERE"', value.encode())
        assert 200 == (await world.send(signed(encrypted(body)))).status
        assert value == (await world.received()).action.value

    async def test_the_record_holds_no_verification_token_and_can_leave_the_callback_out(
        self, token_only: World
    ) -> None:
        """Topics are read by others."""
        await token_only.send(Wire(body=plain(click())))
        [record] = [found for found in await token_only.records() if b"operator" in found.value]
        assert VERIFICATION_TOKEN.encode() not in record.value
        assert (await token_only.received()).callback is None

    async def test_a_predicate_that_stumbles_does_not_cost_the_answer(self, world: World) -> None:
        """User code beside the point never makes a click fail."""
        reply = await world.send(signed(encrypted(click(value={"zero": 0}))))
        assert (200, b"{}", "recorded") == (reply.status, reply.body, reply.outcome)


class TestNotRecorded:
    """What is not for the log, or could not be written to it."""

    @pytest.mark.parametrize("body", [subscribed("im.message.receive_v1"), click(event_type="url.preview.get")])
    async def test_what_no_handler_wants_is_acknowledged_and_counted(self, world: World, body: object) -> None:
        """Otherwise the platform would send it again and again."""
        reply = await world.send(signed(encrypted(body)))
        assert (200, b"{}", "ignored") == (reply.status, reply.body, reply.outcome)
        assert [] == await world.records()
        assert 1 == world.metrics.value(CALLBACKS, APP_ID, reply.kind, "ignored")

    @pytest.mark.parametrize("wire", [signed(encrypted(verification())), Wire(body=plain(verification()))])
    async def test_the_console_gets_its_challenge_back(self, world: World, wire: Wire) -> None:
        """In plain JSON, also where the question was encrypted."""
        reply = await world.send(wire)
        assert (200, {"challenge": "prove it"}) == (reply.status, json.loads(reply.body))
        assert [] == await world.records()

    async def test_every_refusal_looks_the_same(self, world: World) -> None:
        """The cause is for our own eyes."""
        causes = set()
        for wire in (
            Wire(body=b"nonsense"),
            Wire(body=encrypted(click())),
            signed(encrypted(click()), key="another"),
            signed(plain(click())),
            signed(encrypted(click()), at=0),
            signed(encrypted(click(app_id="cli_b2"))),
            Wire(body=plain(verification("another"))),
        ):
            reply = await world.send(wire)
            assert (401, b'{"error":"rejected"}') == (reply.status, reply.body)
            assert 1 == world.metrics.value(REFUSALS, APP_ID, reply.cause or "")
            causes.add(reply.cause)
        assert 7 == len(causes)
        assert [] == await world.records()

    @pytest.mark.parametrize("wire", [signed(encrypted(click())), signed_legacy(plain(legacy_click()))])
    async def test_with_the_log_away_a_person_is_told_that_the_click_may_be_lost(
        self, world: World, wire: Wire
    ) -> None:
        """In three languages, as a toast, because the platform never repeats a click. There is no mark for it."""
        world.log.error = LogUnavailable("away")
        reply = await world.send(wire)
        toast = _toast(reply)
        assert (200, "error", "not_recorded") == (reply.status, toast["type"], reply.outcome)
        assert {"zh_cn", "en_us", "ja_jp"} <= toast["i18n"].keys()
        world.log.error = None
        assert [] == await world.records()

    async def test_with_the_log_away_an_event_is_asked_for_again(self, world: World) -> None:
        """The platform repeats events that were not answered with 200."""
        world.log.error = LogUnavailable("away")
        assert 503 == (await world.send(signed(encrypted(subscribed())))).status

    async def test_a_record_too_large_for_the_log_is_told_as_honestly(self) -> None:
        """Neither a success nor a 500."""
        world = World(BOTH_STYLES, max_record_bytes=500)
        reply = await world.send(signed(encrypted(click())))
        assert (200, "error", "not_recorded") == (reply.status, _toast(reply)["type"], reply.outcome)
        assert [] == await world.records()
        await world.close()


class TestParked:
    """Honest bodies that nobody can read."""

    @pytest.mark.parametrize("body", [encrypted(b"nonsense"), b"not even JSON", plain({"encrypt": "AAAA"})])
    async def test_a_signed_body_that_cannot_be_read_is_parked_as_it_came(self, world: World, body: bytes) -> None:
        """With headers and key as the public description of the log has them; and the person is told."""
        reply = await world.send(signed(body))
        assert (200, "error", "parked") == (reply.status, _toast(reply)["type"], reply.outcome)
        [record] = await world.records(TOPICS.dead)
        assert (body, f"{APP_ID}:{hashlib.sha256(body).hexdigest()}") == (record.value, record.key)
        described = asyncapi()["components"]["messages"]["parked.by.gateway"]
        headers = {name: text.decode() for name, text in record.headers}
        jsonschema.Draft7Validator(described["headers"]).validate(headers)
        assert set(described["headers"]["properties"]) == set(headers)
        jsonschema.Draft7Validator(described["bindings"]["kafka"]["key"]).validate(record.key)

    async def test_a_callback_that_nothing_identifies_is_parked(self, token_only: World) -> None:
        """Content alone never identifies: two honest clicks may look the same."""
        body = click()
        del body["header"]["event_id"]
        assert "parked" == (await token_only.send(Wire(body=plain(body)))).outcome

    async def test_with_the_log_away_too_it_is_asked_for_again(self, world: World) -> None:
        """It may be an event."""
        world.log.error = LogUnavailable("away")
        assert 503 == (await world.send(signed(b"not even JSON"))).status


class TestMarks:
    """The fact that an answer was written."""

    @pytest.mark.parametrize("delivered", [True, False])
    async def test_a_click_is_followed_by_its_mark(self, world: World, *, delivered: bool) -> None:
        """Behind it in its partition, and saying whether there was still somebody."""
        await world.send(signed(encrypted(click())), delivered=delivered)
        first, second = await world.events()
        assert isinstance(first, InteractionReceived)
        assert (
            InteractionAnswered(
                event_id=first.event_id,
                app_id=first.app_id,
                tenant_key=first.tenant_key,
                message_id=first.message_id,
                delivered=delivered,
                answered_at=NOW,
            )
            == second
        )
        assert (0 if delivered else 1) == world.metrics.value(UNDELIVERED)

    async def test_before_the_answer_is_written_there_is_no_mark(self, world: World) -> None:
        """The interaction is durable, the mark waits for the front end."""
        await world.gate.accept(world.arrival(signed(encrypted(click()))))
        assert [InteractionReceived] == [type(event) for event in await world.events()]

    async def test_concurrent_clicks_of_one_card_keep_their_order(self, world: World) -> None:
        """In the order in which they arrived, each before its mark."""
        await asyncio.gather(*(world.send(signed(encrypted(click(f"ev{n:03}")))) for n in range(200)))
        events = await world.events()
        clicks = [event.event_id for event in events if isinstance(event, InteractionReceived)]
        assert [f"ev{n:03}" for n in range(200)] == clicks
        assert_marks_lie_behind(events)


class TestLines:
    """One line for each callback."""

    async def test_every_callback_has_one_line_with_its_ids_and_no_secret(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What an operator needs, and nothing that anybody could misuse."""
        wires = [
            signed(encrypted(click())),
            signed_legacy(plain(legacy_click())),
            signed(b"not even JSON"),
            signed(encrypted(click()), key="another"),
            Wire(body=plain(verification())),
        ]
        for wire in wires:
            await world.send(wire)
        shown = capsys.readouterr().out
        lines = [line for line in shown.splitlines() if "callback_answered" in line]
        assert len(wires) == len(lines)
        assert "ev1" in lines[0]
        assert "om_1" in lines[0]
        assert "signature_mismatch" in lines[3]
        assert "LARK_ENCRYPT_KEY" in lines[3]
        for secret in (ENCRYPT_KEY, VERIFICATION_TOKEN, CARD_TOKEN, "prove it", "正在跟进", "ou_1", "950646929"):
            assert secret not in shown
