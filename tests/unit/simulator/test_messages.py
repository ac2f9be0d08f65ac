import json
from typing import Any

import pytest

from tests.unit.simulator.world import DAY_S, START_MS, World, card, card_2_0


def test_a_sent_card_is_in_the_chat_and_told_with_its_times() -> None:
    """A send answers with ids and times in digits of milliseconds, and the message is there."""
    world = World()
    data = world.send(card("报警")).data
    assert (str(START_MS), "interactive", world.chat) == (data["create_time"], data["msg_type"], data["chat_id"])
    assert [data["message_id"]] == world.platform.chat(world.chat).message_ids
    assert card("报警") == world.shown(data["message_id"])


@pytest.mark.parametrize(
    ("to", "kind"),
    [("ou_1", "open_id"), ("on_1", "union_id"), ("u1", "user_id"), ("a@example.com", "email")],
)
def test_a_person_is_written_to_by_any_kind_of_id(to: str, kind: str) -> None:
    """Messages to one person share one two-person chat."""
    world = World()
    first, second = world.send("一", to=to, kind=kind).data, world.send("二", to=to, kind=kind).data
    assert first["chat_id"] == second["chat_id"] != world.chat


@pytest.mark.parametrize(
    ("to", "kind", "code"),
    [
        ("oc_1", "open_id", 230034),
        ("ou_1", "chat_id", 230034),
        ("nobody", "email", 230034),
        ("oc_unknown", "chat_id", 230002),
        ("oc_1", "telegram", 99992402),
    ],
)
def test_a_receiver_that_does_not_exist_is_refused(to: str, kind: str, code: int) -> None:
    """An id of the wrong kind, an unknown chat and an unknown kind are refused."""
    world = World()
    assert code == world.send("hi", to=to, kind=kind).code
    assert {} == world.platform.messages


def test_the_same_uuid_sends_one_message_in_an_hour() -> None:
    """Repeats within the hour are answered with the first message; after it another one is sent."""
    world = World()
    first = world.send("一", uuid="u-1").data["message_id"]
    world.clock.advance(3599)
    assert first == world.send("二", uuid="u-1").data["message_id"]
    world.clock.advance(1)
    assert first != world.send("三", uuid="u-1").data["message_id"]
    assert 2 == len(world.platform.messages)


def test_a_uuid_is_at_most_fifty_characters() -> None:
    """A longer uuid is a mistake, the longest is not."""
    world = World()
    assert [0, 99992402] == [world.send("hi", uuid="u" * length).code for length in (50, 51)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"msg_type": "interactive", "content": card()}, 230001),
        ({"msg_type": "interactive", "content": "{"}, 230099),
        ({"msg_type": "interactive", "content": "[]"}, 230099),
        ({"msg_type": "text", "content": "plain"}, 230001),
        ({"msg_type": "text", "content": "{}"}, 230001),
        ({"msg_type": "image", "content": "{}"}, 230001),
        ({"msg_type": "text", "content": json.dumps({"text": "x" * (150 * 1024 - 11)})}, 230025),
        ({"msg_type": "interactive", "content": json.dumps(card("x" * 30 * 1024))}, 230025),
    ],
)
def test_content_that_is_none_is_refused(body: dict[str, Any], code: int) -> None:
    """Content must be a string of JSON of the kind it says, and not too long."""
    world = World()
    refused = world.call(
        "POST", "im/v1/messages", {"receive_id": world.chat, **body}, query={"receive_id_type": "chat_id"}
    )
    assert (400, code) == (refused.status, refused.code)
    assert {} == world.platform.messages


@pytest.mark.parametrize(
    "content",
    [
        {"schema": "2.0", "elements": []},
        {"schema": "2.0", "config": {"update_multi": False}, "body": {"elements": []}},
        {"schema": "2.0", "body": {"elements": [{"tag": "note"}]}},
        {"schema": "2.0", "body": {"elements": [{"tag": "form", "elements": [{"tag": "action"}]}]}},
        {"schema": "2.0", "body": {"elements": [{"tag": "hr"}] * 201}},
        {"schema": "2.0", "body": []},
        {"elements": {}},
        {"config": []},
        {"type": "template", "data": {}},
        {"header": []},
    ],
)
def test_a_card_that_the_platform_would_not_draw_is_refused(content: dict[str, Any]) -> None:
    """A 2.0 card is read strictly, a 1.0 card for its shape; the reason is a code inside the text."""
    refused = World().send(content)
    assert 230099 == refused.code
    assert "ErrCode: " in refused.body["msg"]


def test_a_patched_card_is_seen_by_everybody() -> None:
    """An update by message id replaces the card and is kept as a version."""
    world = World()
    message_id = world.put(card("一"))
    world.clock.advance(1)
    assert {} == world.patch(message_id, card("二")).data
    assert card("二") == world.shown(message_id)
    versions = world.platform.message(message_id).versions
    assert [("sent", START_MS), ("patch", START_MS + 1000)] == [(each.by, each.at_ms) for each in versions]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (card(shared=False), card()),
        (card(), card(shared=False)),
        ({"elements": []}, card()),
        (card(), {"elements": []}),
    ],
)
def test_a_card_that_is_not_shared_before_and_after_cannot_be_patched(before: Any, after: Any) -> None:
    """A 1.0 card without update_multi is exclusive: an update by message id is refused."""
    world = World()
    message_id = world.put(before)
    assert 230001 == world.patch(message_id, after).code
    assert ["sent"] == world.versions(message_id)


def test_a_2_0_card_is_always_shared() -> None:
    """Cards of format 2.0 need no update_multi."""
    world = World()
    assert 0 == world.patch(world.put(card_2_0()), card_2_0("二")).code


def test_an_update_needs_a_card_as_text() -> None:
    """The content is a string of JSON, not JSON; and it must be a card."""
    world = World()
    message_id = world.put(card())
    path = f"im/v1/messages/{message_id}"
    assert [230001, 230001, 230099, 230099] == [
        world.call("PATCH", path, {"content": content}).code for content in (card(), None, "{", "[]")
    ]
    assert ["sent"] == world.versions(message_id)


@pytest.mark.parametrize("content", [card(), card_2_0()])
def test_a_card_can_be_patched_for_fourteen_days(content: dict[str, Any]) -> None:
    """At fourteen days the update is refused for good, and noted: a good caller knows."""
    world = World()
    message_id = world.put(content)
    world.clock.advance(14 * DAY_S - 1)
    assert 0 == world.patch(message_id, {**content, "header": {}}).code
    world.clock.advance(1)
    assert 230031 == world.patch(message_id, content).code
    assert ["update_expired"] == world.broken()


def test_a_card_put_into_the_past_is_as_old_as_it_says() -> None:
    """A card can be given an age without waiting."""
    world = World()
    assert 230031 == world.patch(world.put(card(), sent_at=START_MS - 14 * DAY_S * 1000), card("二")).code


def test_what_cannot_be_patched_says_why() -> None:
    """A recalled message, a text and an unknown message are three refusals."""
    world = World()
    recalled, text = world.put(card()), world.send("text").data["message_id"]
    world.platform.message(recalled).is_recalled = True
    codes = [world.patch(message_id, card("二")).code for message_id in (recalled, text, "om_unknown")]
    assert [230011, 230001, 230001] == codes


def test_a_card_of_more_than_thirty_kilobytes_is_refused_and_noted() -> None:
    """A good caller knows the size before it calls."""
    world = World()
    message_id = world.put(card())
    assert 230025 == world.patch(message_id, card("进" * 10_240)).code
    assert ["card_too_large"] == world.broken()


def test_a_message_is_told_with_its_card_as_text_or_whole() -> None:
    """Without being asked for the card, the platform tells a simplified form."""
    world = World()
    message_id = world.put(card("报警"))
    path = f"im/v1/messages/{message_id}"
    (plain,) = world.call("GET", path).data["items"]
    (whole,) = world.call("GET", path, query={"card_msg_content_type": "user_card_content"}).data["items"]
    assert {"title": "报警", "elements": []} == json.loads(plain["body"]["content"])
    assert card("报警") == json.loads(whole["body"]["content"])
    assert (message_id, str(START_MS), world.chat) == (plain["message_id"], plain["create_time"], plain["chat_id"])


def test_a_recalled_message_has_no_content() -> None:
    """Who reads a recalled message learns only that."""
    world = World()
    message_id = world.put(card())
    world.platform.message(message_id).is_recalled = True
    (told,) = world.call("GET", f"im/v1/messages/{message_id}").data["items"]
    assert (True, "") == (told["deleted"], told["body"]["content"])


def test_text_that_fast_parsers_refuse_is_sent_and_told() -> None:
    """A lone surrogate and NUL travel through a send and back."""
    world = World()
    body = (
        b'{"receive_id":"%s","msg_type":"text","content":"{\\"text\\":\\"\\\\ud800\\\\u0000\\"}"}' % world.chat.encode()
    )
    sent = world.call("POST", "im/v1/messages", body, query={"receive_id_type": "chat_id"}).data
    assert "\ud800\0" == json.loads(sent["body"]["content"])["text"]


def test_every_answer_has_a_log_id() -> None:
    """Success and refusal carry X-Tt-Logid, and the refusal repeats it in its body."""
    world = World()
    done, refused = world.send("hi"), world.patch("om_unknown", card())
    assert done.headers["X-Tt-Logid"] != refused.headers["X-Tt-Logid"] == refused.body["error"]["log_id"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """What is not a JSON object never reaches an API."""
    world = World()
    assert 99992402 == world.call("PUT", f"im/v1/chats/{world.chat}", body).code


def test_an_unknown_path_is_refused_and_traced() -> None:
    """A call to nowhere is answered like one and stands in the history."""
    world = World()
    assert 404 == world.call("GET", "im/v9/nothing").status
    assert [("/open-apis/im/v9/nothing", 404)] == [(c.path, c.status) for c in world.platform.history.calls.after(0)]


def test_every_call_is_traced_with_its_target() -> None:
    """The history tells each call's API, target and answer, and goes on after a number."""
    world = World()
    message_id = world.send(card()).data["message_id"]
    world.patch(message_id, card("二"))
    world.patch("om_unknown", card("二"))
    calls = world.platform.history.calls.after(1)
    assert [
        (2, "im.v1.message.patch", message_id, 0, 200),
        (3, "im.v1.message.patch", "om_unknown", 230001, 400),
    ] == [(each.n, each.api, each.target, each.code, each.status) for each in calls]
