"""The control interface over HTTP, as people and scripts use it."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from shared.clock import ManualClock
from shared.feishu.crypto import Cipher
from simulator.app import RunningSimulator, run_simulator
from simulator.asking import answers_on
from simulator.settings import SimulatorSettings
from tests.unit.simulator.asking import Asking, Requesting
from tests.unit.simulator.receiver import Receiver
from tests.unit.simulator.world import START_MS, card


async def _status(requesting: Requesting) -> int:
    async with requesting as response:
        return response.status


async def test_the_story_can_be_scripted(ask: Asking, receiver: Receiver) -> None:
    """Make a chat and a card, click it, look at both: the calls of the documentation, as they stand there."""
    chat_id, message_id = await ask.card()
    receiver.answer = (200, json.dumps({"card": {"type": "raw", "data": card("跟进中")}}).encode())
    click = {
        "message_id": message_id,
        "action": {"tag": "button", "value": {"action": "follow_up"}},
        "operator": {"open_id": "ou_1"},
    }
    status, seen = await ask.post("click", click)
    assert 200 == status
    assert {"event_id", "status", "body", "client_error", "answered_in_ms"} <= seen.keys()
    assert (200, None, 0) == (seen["status"], seen["client_error"], seen["answered_in_ms"])
    _, message = await ask.get(f"messages/{message_id}")
    assert (message_id, chat_id, card("跟进中"), {}) == (
        message["message_id"],
        message["chat_id"],
        message["card"],
        message["views"],
    )
    assert [("sent", START_MS, card()), ("answer", START_MS, card("跟进中"))] == [
        (each["by"], each["at_ms"], each["card"]) for each in message["versions"]
    ]
    _, chat = await ask.get(f"chats/{chat_id}")
    assert ("报警群", [{"at_ms": START_MS, "name": "报警群"}], [message_id]) == (
        chat["name"],
        chat["names"],
        chat["message_ids"],
    )


async def test_what_no_parser_gives_back_is_clicked_as_text(ask: Asking, receiver: Receiver) -> None:
    """NUL, a lone surrogate and huge numbers reach the receiver as they were written."""
    _, message_id = await ask.card()
    action = '{"value":{"n":1e400,"d":123456789012345678901234567890,"s":"\\ud800\\u0000"},"tag":"button"}'
    assert 200 == (await ask.post("click", {"message_id": message_id, "action_json": action}))[0]
    assert action.encode() in Cipher("k").decrypt(json.loads((await receiver.came.get()).body)["encrypt"])


async def test_an_action_given_as_json_keeps_what_json_can_say(ask: Asking, receiver: Receiver) -> None:
    """A lone surrogate and a thirty-digit number survive the ordinary way, too."""
    _, message_id = await ask.card()
    action = {"tag": "button", "value": {"s": "\ud800\0", "d": 123456789012345678901234567890}}
    assert 200 == (await ask.post("click", {"message_id": message_id, "action": action}))[0]
    received = json.loads(Cipher("k").decrypt(json.loads((await receiver.came.get()).body)["encrypt"]))
    assert action == received["event"]["action"]


async def test_a_click_can_be_copied_and_repeated(ask: Asking, receiver: Receiver) -> None:
    """Copies at once, and the same bytes later."""
    _, message_id = await ask.card()
    _, seen = await ask.post("click", {"message_id": message_id, "copies": 2, "same_request_id": False})
    _, again = await ask.post("click", {"again": seen["event_id"]})
    assert (seen["event_id"], 3) == (again["event_id"], receiver.came.qsize())
    _, clicks = await ask.get("clicks?after=0")
    assert [(1, 2, False), (2, 1, True)] == [(each["n"], each["deliveries"], each["is_again"]) for each in clicks]


@pytest.mark.parametrize(("schema", "key"), [("p1", "uuid"), ("p2", "header")])
async def test_events_can_be_pushed(ask: Asking, receiver: Receiver, schema: str, key: str) -> None:
    """Both versions of subscribed events, answered by status alone."""
    receiver.answer = (503, b"")
    body = {"schema": schema, "type": "out_approval", "event": {"n": 1}, "copies": 2}
    _, seen = await ask.post("events", body)
    assert (503, 200671, 2) == (seen["status"], seen["client_error"], receiver.came.qsize())
    assert key in json.loads(Cipher("k").decrypt(json.loads((await receiver.came.get()).body)["encrypt"]))


async def test_link_previews_can_be_asked_for(ask: Asking, receiver: Receiver) -> None:
    """With a message there is a preview token, while typing there is none."""
    chat_id, message_id = await ask.card()
    contexts = []
    for message in ({"message_id": message_id}, {}):
        _, seen = await ask.post(
            "previews", {"url": "https://example.com/", "operator": {"open_id": "ou_1"}, **message}
        )
        assert seen["client_error"] is None
        body = json.loads(Cipher("k").decrypt(json.loads((await receiver.came.get()).body)["encrypt"]))
        assert "url.preview.get" == body["header"]["event_type"]
        contexts.append(body["event"]["context"])
    sent, typed = contexts
    assert (message_id, chat_id) == (sent["open_message_id"], sent["open_chat_id"])
    assert "preview_token" in sent
    assert {"url": "https://example.com/", "open_message_id": "", "open_chat_id": ""} == typed


async def test_the_address_can_be_verified(ask: Asking, receiver: Receiver) -> None:
    """A receiver that does not repeat the challenge is not verified."""
    _, seen = await ask.post("challenge", {})
    assert (200, False) == (seen["status"], seen["verified"])
    assert b"url_verification" in Cipher("k").decrypt(json.loads((await receiver.came.get()).body)["encrypt"])


async def test_the_clock_moves_for_all_who_share_it(ask: Asking, clock: ManualClock) -> None:
    """Moving the platform moves the shared manual clock."""
    assert (200, {"now_ms": START_MS + 45 * 86_400_000}) == await ask.post("clock", {"advance_s": 45 * 86_400})
    assert START_MS + 45 * 86_400_000 == clock.now()


async def test_calls_are_told_in_pages(ask: Asking, sim: RunningSimulator, session: aiohttp.ClientSession) -> None:
    """Who asks for more goes on after the last number."""
    headers = await ask.token()
    for _ in range(3):
        async with session.get(f"{sim.url}/open-apis/im/v1/chats/oc%5Funknown", headers=headers) as response:
            assert (400, "application/json") == (response.status, response.content_type)
            assert response.headers["X-Tt-Logid"]
    _, first = await ask.get("calls?after=0&limit=2")
    _, rest = await ask.get(f"calls?after={first[-1]['n']}")
    assert [1, 2, 3, 4] == [each["n"] for each in first + rest]
    assert (START_MS, "GET", "/open-apis/im/v1/chats/oc_unknown", "oc_unknown", 232006, 400) == tuple(
        rest[-1][key] for key in ("at_ms", "method", "path", "target", "code", "status")
    )
    assert (SimulatorSettings().app_id, SimulatorSettings().tenant_key) == (rest[-1]["app_id"], rest[-1]["tenant_key"])


@pytest.mark.parametrize(("kind", "status", "code"), [("429", 429, 99991400), ("500", 500, 2200)])
async def test_faults_refuse_calls(ask: Asking, kind: str, status: int, code: int) -> None:
    """A refused call does nothing, and is not held against the caller."""
    chat_id, message_id = await ask.card()
    headers = await ask.token()
    await ask.fault(kind)
    async with ask.send(chat_id, headers) as response:
        assert (status, code) == (response.status, (await response.json())["code"])
        assert ("1" if kind == "429" else None) == response.headers.get("x-ogw-ratelimit-reset")
    assert [message_id] == (await ask.get(f"chats/{chat_id}"))[1]["message_ids"]
    assert (200, []) == await ask.get("violations")


async def test_a_doubled_call_is_done_twice(ask: Asking) -> None:
    """Without a uuid a send that the network repeats makes two messages, and one answer."""
    chat_id, _ = await ask.card()
    headers = await ask.token()
    await ask.fault("duplicate")
    async with ask.send(chat_id, headers) as response:
        assert 0 == (await response.json())["code"]
    assert 3 == len((await ask.get(f"chats/{chat_id}"))[1]["message_ids"])
    assert [None, "duplicate"] == [each["fault"] for each in (await ask.get("calls?after=1"))[1]]


@pytest.mark.parametrize(("kind", "messages", "code"), [("drop_before", 1, None), ("drop_after", 2, 0)])
async def test_dropped_calls_were_done_or_not(ask: Asking, kind: str, messages: int, code: int | None) -> None:
    """The caller sees a broken connection either way; the history knows."""
    chat_id, _ = await ask.card()
    headers = await ask.token()
    await ask.fault(kind)
    with pytest.raises(aiohttp.ClientError):
        await _status(ask.send(chat_id, headers))
    assert messages == len((await ask.get(f"chats/{chat_id}"))[1]["message_ids"])
    last = (await ask.get("calls"))[1][-1]
    assert (kind, code) == (last["fault"], last["code"])


async def test_a_delayed_call_is_done_when_the_clock_says_so(ask: Asking, clock: ManualClock) -> None:
    """The answer waits for the clock."""
    chat_id, _ = await ask.card()
    headers = await ask.token()
    await ask.post("faults", {"seed": 1, "rules": [{"path": "/open-apis/im/*", "kind": "delay", "p": 1, "ms": 500}]})
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_status(ask.send(chat_id, headers)))
        while clock.next_wake() is None:  # noqa: ASYNC110 - a manual clock has no event for "somebody sleeps"
            await asyncio.sleep(0.001)
        assert 1 == len((await ask.get(f"chats/{chat_id}"))[1]["message_ids"])
        clock.advance(0.5)
    assert 200 == sending.result()


async def test_limits_can_be_lifted(ask: Asking, sim: RunningSimulator, session: aiohttp.ClientSession) -> None:
    """Twice the documented limits, none, and the refusal of what is no factor."""
    headers = await ask.token()
    path = f"{sim.url}/open-apis/im/v1/chats/oc_unknown"

    async def refused(calls: int) -> int:
        statuses = []
        for _ in range(calls):
            async with session.get(path, headers=headers) as response:
                statuses.append(response.status)
        return statuses.count(429)

    assert 1 == await refused(51)
    await ask.post("limits", {"factor": None})
    assert 0 == await refused(60)
    assert 400 == (await ask.post("limits", {"factor": 0}))[0]
    assert ["api_per_second"] == [each["rule"] for each in (await ask.get("violations"))[1]]


async def test_receivers_can_be_changed_while_running(ask: Asking, receiver: Receiver) -> None:
    """A gateway that starts later gets the clicks from then on."""
    _, message_id = await ask.card()
    assert (200, {"urls": []}) == await ask.post("callback", {"urls": []})
    assert 200340 == (await ask.post("click", {"message_id": message_id}))[1]["client_error"]
    await ask.post("callback", {"urls": [receiver.url]})
    assert (await ask.post("click", {"message_id": message_id}))[1]["client_error"] is None


async def test_messages_and_chats_can_be_spoiled(ask: Asking) -> None:
    """A recalled card cannot be clicked, a dissolved chat says so."""
    chat_id, message_id = await ask.card()
    await ask.post("recall", {"message_id": message_id})
    await ask.post("dissolve", {"chat_id": chat_id})
    assert 404 == (await ask.post("click", {"message_id": message_id}))[0]
    assert (await ask.get(f"chats/{chat_id}"))[1]["dissolved"]
    assert [True] == [each["recalled"] for each in (await ask.get(f"messages?chat_id={chat_id}"))[1]]


async def test_tokens_can_be_revoked(ask: Asking, sim: RunningSimulator, session: aiohttp.ClientSession) -> None:
    """A client that cached its token learns that it ended."""
    headers = await ask.token()
    await ask.post("revoke_tokens", {})
    async with session.get(f"{sim.url}/open-apis/im/v1/chats/oc_1", headers=headers) as response:
        assert 99991663 == (await response.json())["code"]


async def test_an_old_card_can_be_put(ask: Asking) -> None:
    """A card may have been sent long ago."""
    chat_id, _ = await ask.card()
    _, put = await ask.post("cards", {"chat_id": chat_id, "card": json.dumps(card()), "sent_at_ms": 1000})
    assert 1000 == (await ask.get(f"messages/{put['message_id']}"))[1]["sent_at_ms"]


@pytest.mark.parametrize(
    ("name", "body", "status", "line"),
    [
        ("click", b"{", 400, "line 1"),
        ("click", b"x", 400, "the body is no JSON: expected an object, for example {} ("),
        ("click", b"\xff", 400, "utf-8"),
        ("click", [], 400, "Expected `object`"),
        ("click", {}, 400, "Expected message_id"),
        ("click", {"message_id": "om_1", "acton": {}}, 400, "unknown field `acton`"),
        ("click", {"message_id": "om_1", "copies": 0}, 400, "copies from 1 to 100"),
        ("click", {"message_id": "om_1", "style": "old"}, 400, "$.style"),
        ("click", {"message_id": "om_1", "action": {}, "action_json": "{}"}, 400, "not both"),
        ("click", {"message_id": "om_1", "action_json": "{"}, 400, "line 1"),
        ("click", b'{"message_id":"om_1","action":{"value":1e400}}', 400, "action_json"),
        ("click", b'{"message_id":"om_1","action":{"value":NaN}}', 400, "action_json"),
        ("click", {"message_id": "om_1"}, 404, "message om_1"),
        ("click", {"again": "e1"}, 404, "click e1"),
        ("cards", {"chat_id": "oc_1", "card": {}}, 404, "chat oc_1"),
        ("chats", {"name": 7}, 400, "$.name"),
        ("events", {"schema": "p3", "type": "x"}, 400, "$.schema"),
        ("clock", {"advance_s": "1"}, 400, "$.advance_s"),
        ("faults", {"seed": 1, "rules": [{"path": "*", "kind": "fire", "p": 1}]}, 400, "$.rules[0].kind"),
        ("nothing", {}, 404, "such call"),
    ],
)
async def test_mistakes_are_answered_with_one_line(ask: Asking, name: str, body: Any, status: int, line: str) -> None:
    """Each mistake says what was expected, and where."""
    answered, told = await ask.post(name, body)
    assert status == answered
    assert line in told["error"]
    assert "\n" not in told["error"]


@pytest.mark.parametrize(
    ("name", "status"), [("messages/om_1", 404), ("chats/oc_1", 404), ("nothing", 404), ("calls?after=x", 400)]
)
async def test_what_is_not_there_cannot_be_looked_at(ask: Asking, name: str, status: int) -> None:
    """Unknown things are 404, unreadable numbers 400."""
    assert status == (await ask.get(name))[0]


async def test_a_card_that_is_none_cannot_be_put(ask: Asking) -> None:
    """The platform's own words say what is wrong with it."""
    chat_id, _ = await ask.card()
    status, told = await ask.post("cards", {"chat_id": chat_id, "card": {"elements": {}}})
    assert 400 == status
    assert "elements is not an array" in told["error"]


async def test_control_answers_on_its_own_address_only(session: aiohttp.ClientSession) -> None:
    """On another address the OpenAPI answers and the control interface refuses, unless it was named."""
    # 127.0.0.1 is the control address here, whatever other loopback addresses count as: the machine itself.
    async with run_simulator(SimulatorSettings(port=0, host="127.0.0.2")) as sim:
        assert sim.url != sim.control_url
        async with session.get(f"{sim.control_url}/_sim/calls") as response:
            assert 200 == response.status
        async with session.get(f"{sim.url}/open-apis/im/v1/chats/oc_1") as response:
            assert 99991661 == (await response.json())["code"]


@pytest.mark.parametrize(
    ("called", "control_host", "is_answered"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.2", "10.0.0.7", True),
        ("::1", "10.0.0.7", True),
        ("10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7", "127.0.0.1", False),
        ("fe80::1%eth0", "127.0.0.1", False),
        ("10.0.0.7", "0.0.0.0", True),  # noqa: S104 - compared with, not bound to
        (None, "127.0.0.1", False),
    ],
)
def test_control_answers_where_it_is_to(called: str | None, control_host: str, *, is_answered: bool) -> None:
    """What counts is the address that was called: loopback always, another only if it was named."""
    assert is_answered is answers_on(called, control_host)


async def test_a_taken_port_is_an_error_of_the_system(sim: RunningSimulator) -> None:
    """Whoever starts a second simulator on the port learns it at once."""
    port = int(sim.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        async with run_simulator(SimulatorSettings(port=port)):
            pass
