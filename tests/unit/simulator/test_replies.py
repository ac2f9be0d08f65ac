from typing import Any

import pytest

from tests.unit.simulator.world import World, card


def reply(world: World, message_id: str, **more: Any) -> Any:
    """Answer a message with a text."""
    body = {"msg_type": "text", "content": '{"text":"收到"}', **more}
    return world.call("POST", f"im/v1/messages/{message_id}/reply", body)


def test_a_reply_names_what_it_answers() -> None:
    """The reply is in the same chat, and tells the message above it and the first one of the tree."""
    world = World()
    root = world.put(card())
    first = reply(world, root).data
    second = reply(world, first["message_id"]).data
    assert (world.chat, root, root) == (first["chat_id"], first["root_id"], first["parent_id"])
    assert (root, first["message_id"]) == (second["root_id"], second["parent_id"])
    assert "thread_id" not in second
    (told,) = world.call("GET", f"im/v1/messages/{second['message_id']}").data["items"]
    assert (root, '{"text":"收到"}') == (told["root_id"], told["body"]["content"])


def test_a_reply_in_a_thread_stays_there_with_what_answers_it() -> None:
    """Whoever answers a message of a thread is in the thread, below its first message."""
    world = World()
    root = world.put(card())
    first = reply(world, root, reply_in_thread=True).data
    second = reply(world, first["message_id"]).data
    assert first["thread_id"].startswith("omt_")
    assert (first["thread_id"], root) == (second["thread_id"], second["parent_id"])


def test_a_card_is_sent_as_a_reply() -> None:
    """A reply holds what a send holds."""
    world = World()
    sent = reply(world, world.put(card()), msg_type="interactive", content='{"elements":[]}').data
    assert {"elements": []} == world.shown(sent["message_id"])


def test_the_same_uuid_replies_once_in_an_hour() -> None:
    """Repeats are answered with the first reply; a send under the same uuid is another matter."""
    world = World()
    root = world.put(card())
    first = reply(world, root, uuid="u-1").data["message_id"]
    assert first == reply(world, root, uuid="u-1").data["message_id"]
    assert first != world.send("hi", uuid="u-1").data["message_id"]
    world.clock.advance(3600)
    assert first != reply(world, root, uuid="u-1").data["message_id"]


def test_replies_count_towards_the_limit_of_their_chat() -> None:
    """Five messages in a second, sends and replies together."""
    world = World()
    root = world.put(card())
    assert [0, 0, 0] == [world.send("hi").code for _ in range(3)]
    assert [0, 0, 230020] == [reply(world, root).code for _ in range(3)]
    assert ["chat_per_second"] == world.broken()


def test_replies_to_a_person_count_towards_the_limit_of_that_person() -> None:
    """In a two-person chat, sends and replies are counted together too."""
    world = World()
    sent = [world.send("hi", to="ou_1", kind="open_id") for _ in range(5)]
    refused = reply(world, sent[0].data["message_id"])
    assert (230020, False) == (refused.code, "x-ogw-ratelimit-reset" in refused.headers)
    assert ["user_per_second"] == world.broken()


def test_what_cannot_be_answered_says_why() -> None:
    """An unknown message, a recalled one, an ephemeral card and a dissolved chat are four refusals."""
    world = World()
    recalled, dissolved = world.put(card()), world.put(card())
    only_for = world.ephemeral(card()).data["message_id"]
    world.platform.message(recalled).is_recalled = True
    codes = [reply(world, each).code for each in ("om_unknown", recalled, only_for)]
    world.platform.chat(world.chat).is_dissolved = True
    assert [230001, 230011, 230054, 232009] == [*codes, reply(world, dissolved).code]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reply_in_thread": "yes"}, 99992402),
        ({"uuid": "u" * 51}, 99992402),
        ({"content": {"text": "an object"}}, 230001),
        ({"msg_type": "image"}, 230001),
    ],
)
def test_a_reply_that_makes_no_sense_is_refused(body: dict[str, Any], code: int) -> None:
    """Nothing is sent."""
    world = World()
    assert code == reply(world, world.put(card()), **body).code
    assert 1 == len(world.platform.messages)
