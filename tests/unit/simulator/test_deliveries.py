"""Clicks over real connections: what the person's client saw."""

import asyncio
import json

import pytest

from shared.clock import ManualClock
from shared.feishu.signature import identity
from simulator.app import RunningSimulator
from simulator.deliver import EXPIRED_TEXT
from simulator.faults import FaultRule
from simulator.platform import UnknownThing
from simulator.sending import Copies
from tests.unit.simulator.receiver import Receiver, run_receiver
from tests.unit.simulator.world import ALICE, DAY_S, card


def put(sim: RunningSimulator) -> str:
    """Return a new card in a new chat."""
    return sim.put_card(sim.platform.new_chat("报警群").chat_id, card())


async def test_a_click_is_delivered_and_its_answer_seen(sim: RunningSimulator, receiver: Receiver) -> None:
    """The toast appears, the card changes, nothing went wrong."""
    message_id = put(sim)
    receiver.answer = (
        200,
        json.dumps(
            {"toast": {"type": "info", "content": "ok"}, "card": {"type": "raw", "data": card("跟进中")}}
        ).encode(),
    )
    seen = await sim.click(message_id, {"action": "follow_up"})
    assert (200, None, "ok") == (seen.status, seen.client_error, seen.client_text)
    shown = sim.platform.message(message_id).seen_by(ALICE.open_id)
    assert shown is not None
    assert card("跟进中") == json.loads(shown.text)
    assert 1 == receiver.came.qsize()


async def test_production_headers_come_with_a_callback(sim: RunningSimulator, receiver: Receiver) -> None:
    """Content type, agent, request id and the three signature headers, as production sends them."""
    await sim.click(put(sim))
    headers = (await receiver.came.get()).headers
    assert ("application/json;charset=utf-8", "Go-http-client/1.1") == (headers["Content-Type"], headers["User-Agent"])
    assert {"X-Request-Id", "X-Lark-Request-Timestamp", "X-Lark-Request-Nonce", "X-Lark-Signature"} <= headers.keys()


async def test_after_three_seconds_nobody_waits(sim: RunningSimulator, receiver: Receiver, clock: ManualClock) -> None:
    """The client shows 200341, and a late answer changes nothing."""
    message_id = put(sim)
    receiver.open.clear()
    receiver.answer = (200, json.dumps({"card": {"type": "raw", "data": card("太晚")}}).encode())
    clicking = asyncio.create_task(sim.click(message_id))
    await receiver.came.get()
    clock.advance(2.999)
    await asyncio.sleep(0)
    assert not clicking.done()
    clock.advance(0.001)
    seen = await clicking
    receiver.open.set()
    assert (200341, None, 3000) == (seen.client_error, seen.status, seen.answered_in_ms)
    assert 1 == len(sim.platform.message(message_id).versions)


async def test_a_failed_callback_is_never_repeated(
    sim: RunningSimulator, receiver: Receiver, clock: ManualClock
) -> None:
    """One click, one request, whatever came back."""
    receiver.answer = (503, b"")
    assert 200671 == (await sim.click(put(sim))).client_error
    clock.advance(7 * 3600)
    assert 1 == receiver.came.qsize()


async def test_what_the_network_does_is_told_apart(sim: RunningSimulator, receiver: Receiver) -> None:
    """No receiver, nobody listening, an unknown name, a connection that breaks."""
    message_id = put(sim)
    async with run_receiver() as gone:
        nobody = gone.url
    sim.callback_urls = ()
    assert 200340 == (await sim.click(message_id)).client_error
    sim.callback_url = nobody
    assert 200342 == (await sim.click(message_id)).client_error
    sim.callback_url = "http://receiver.invalid/webhook/card"
    assert 200343 == (await sim.click(message_id)).client_error
    sim.callback_url = receiver.url
    receiver.does_hang_up = True
    assert 200080 == (await sim.click(message_id)).client_error


async def test_a_redirect_is_not_followed(sim: RunningSimulator, receiver: Receiver) -> None:
    """The platform forbids redirects."""
    receiver.answer = (302, b"{}")
    assert 200671 == (await sim.click(put(sim))).client_error


async def test_receivers_take_turns(sim: RunningSimulator, receiver: Receiver) -> None:
    """Two gateways get every other click, each copy counted."""
    async with run_receiver() as second:
        sim.callback_urls = (receiver.url, second.url)
        for _ in range(3):
            await sim.click(put(sim))
        await sim.click(put(sim), copies=Copies(copies=3))
        assert (3, 3) == (receiver.came.qsize(), second.came.qsize())


@pytest.mark.parametrize("has_same_request_id", [True, False])
async def test_copies_are_the_same_bytes(
    sim: RunningSimulator, receiver: Receiver, *, has_same_request_id: bool
) -> None:
    """Signed headers and body are repeated; the request id is, unless each copy is to have its own."""
    seen = await sim.click(put(sim), copies=Copies(copies=3, has_same_request_id=has_same_request_id))
    came = [await receiver.came.get() for _ in range(3)]
    assert 1 == len({each.body for each in came}) == len({each.headers["X-Lark-Signature"] for each in came})
    assert (1 if has_same_request_id else 3) == len({each.headers["X-Request-Id"] for each in came})
    assert [200, 200, 200] == [each["status"] for each in seen.deliveries]


async def test_the_bytes_of_an_earlier_click_can_be_delivered_again(sim: RunningSimulator, receiver: Receiver) -> None:
    """After a receiver died the same bytes reach another one, under the same event id."""
    message_id = put(sim)
    receiver.does_hang_up = True
    first = await sim.click(message_id)
    async with run_receiver() as second:
        sim.callback_url = second.url
        again = await sim.deliverer.again(str(first.event_id))
        assert (first.event_id, None, 200) == (again.event_id, again.client_error, again.status)
        one, other = await receiver.came.get(), await second.came.get()
        assert (one.body, one.headers["X-Request-Id"], one.headers["X-Lark-Signature"]) == (
            other.body,
            other.headers["X-Request-Id"],
            other.headers["X-Lark-Signature"],
        )
    assert [(200080, False), (None, True)] == [
        (each.client_error, each.is_again) for each in sim.platform.history.clicks.after(0)
    ]


async def test_bytes_of_an_unknown_click_cannot_be_delivered(sim: RunningSimulator) -> None:
    """Only clicks that were made can be repeated."""
    with pytest.raises(UnknownThing):
        await sim.deliverer.again("never-clicked")


async def test_an_answer_is_taken_from_the_first_copy_that_brings_one(
    sim: RunningSimulator, receiver: Receiver
) -> None:
    """A copy that fails does not spoil the click."""
    async with run_receiver() as broken:
        broken.does_hang_up = True
        sim.callback_urls = (broken.url, receiver.url)
        seen = await sim.click(put(sim), copies=Copies(copies=2))
    assert (200, None) == (seen.status, seen.client_error)


async def test_an_expired_card_asks_nobody(sim: RunningSimulator, receiver: Receiver, clock: ManualClock) -> None:
    """The client says so itself."""
    message_id = put(sim)
    clock.advance(30 * DAY_S)
    seen = await sim.click(message_id)
    assert (None, "expired", EXPIRED_TEXT) == (seen.event_id, seen.client_error, seen.client_text)
    assert receiver.came.empty()


async def test_a_legacy_click_is_known_by_its_signature(sim: RunningSimulator, receiver: Receiver) -> None:
    """What the receiver identifies it by is what the test is told."""
    seen = await sim.click(put(sim), {"key": "follow"}, style="legacy")
    assert seen.event_id == identity((await receiver.came.get()).headers["X-Lark-Signature"])


async def test_a_click_that_nobody_waits_for_any_more_is_over(sim: RunningSimulator, receiver: Receiver) -> None:
    """A cancelled click leaves no answer outstanding."""
    message_id = put(sim)
    receiver.open.clear()
    clicking = asyncio.create_task(sim.click(message_id))
    await receiver.came.get()
    clicking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await clicking
    receiver.open.set()
    assert set() == sim.platform.message(message_id).open_clicks


@pytest.mark.parametrize(("kind", "code", "came"), [("drop_before", 200342, 0), ("drop_after", 200080, 1)])
async def test_faults_befall_callbacks_too(
    sim: RunningSimulator, receiver: Receiver, kind: str, code: int, came: int
) -> None:
    """A dropped callback never arrives, or its answer does not."""
    sim.faults.set(1, [FaultRule(path="/webhook/*", kind=kind, p=1)])  # type: ignore[arg-type]
    assert code == (await sim.click(put(sim))).client_error
    assert came == receiver.came.qsize()


async def test_a_network_that_doubles_delivers_twice(sim: RunningSimulator, receiver: Receiver) -> None:
    """The same bytes arrive twice, one answer is seen."""
    sim.faults.set(1, [FaultRule(path="/webhook/*", kind="duplicate", p=1)])
    assert (await sim.click(put(sim))).client_error is None
    assert 2 == receiver.came.qsize()


async def test_a_delayed_callback_arrives_when_the_clock_says_so(
    sim: RunningSimulator, receiver: Receiver, clock: ManualClock
) -> None:
    """Time on the way is part of the three seconds."""
    sim.faults.set(1, [FaultRule(path="/webhook/*", kind="delay", p=1, ms=2000)])
    clicking = asyncio.create_task(sim.click(put(sim)))
    while clock.next_wake() is None:  # noqa: ASYNC110 - a manual clock has no event for "somebody sleeps"
        await asyncio.sleep(0)
    assert receiver.came.empty()
    clock.advance(2)
    await receiver.came.get()
    assert (await clicking).client_error is None
