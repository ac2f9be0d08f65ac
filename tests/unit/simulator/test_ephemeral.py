import json
from typing import Any

import pytest

from simulator.platform import UnknownThing
from tests.unit.simulator.world import ALICE, BOB, World, card, card_2_0


def test_an_ephemeral_card_is_seen_by_one_person() -> None:
    """For everybody else there is no card, nor one to be clicked."""
    world = World()
    message_id = world.ephemeral(card("只有你")).data["message_id"]
    assert (card("只有你"), None) == (world.shown(message_id, ALICE), world.shown(message_id, BOB))
    assert [ALICE.open_id] == [each.audience for each in world.platform.message(message_id).versions]
    with pytest.raises(UnknownThing):
        world.open_click(message_id, BOB)


@pytest.mark.parametrize("shared", [True, False])
def test_an_answer_changes_it_for_that_person_alone(shared: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Even a card that says it is shared stays with the one who sees it."""
    world = World()
    message_id = world.ephemeral(card()).data["message_id"]
    answer = {"card": {"type": "raw", "data": card("二", shared=shared)}}
    world.close_click(world.open_click(message_id), answer)
    assert (card("二", shared=shared), None) == (world.shown(message_id, ALICE), world.shown(message_id, BOB))


def test_it_is_changed_with_the_token_of_a_click() -> None:
    """A delayed update reaches the person who clicked, and nobody else."""
    world = World()
    message_id = world.ephemeral(card_2_0()).data["message_id"]
    click = world.open_click(message_id)
    world.close_click(click)
    assert 0 == world.update(click.card_token, card_2_0("二")).code
    assert (card_2_0("二"), None) == (world.shown(message_id, ALICE), world.shown(message_id, BOB))


def test_it_cannot_be_patched() -> None:
    """Updates by message id are for cards that everybody sees."""
    world = World()
    assert 230001 == world.patch(world.ephemeral(card()).data["message_id"], card("二")).code


def test_it_is_deleted_once() -> None:
    """Nothing of it stays, and there is nothing to be deleted a second time."""
    world = World()
    message_id = world.ephemeral(card()).data["message_id"]
    deleted = [world.call("POST", "ephemeral/v1/delete", {"message_id": message_id}).code for _ in range(2)]
    assert [0, 18051] == deleted
    assert world.shown(message_id) is None


def test_only_ephemeral_cards_are_deleted_so() -> None:
    """Another message, none and nonsense are bad parameters."""
    world = World()
    given: list[Any] = [world.put(card()), "om_unknown", None, 7]
    assert [10003] * 4 == [world.call("POST", "ephemeral/v1/delete", {"message_id": each}).code for each in given]


@pytest.mark.parametrize(
    ("ids", "person"),
    [
        ({"open_id": "ou_1", "user_id": "u2", "email": "a@example.com"}, "ou_1"),
        ({"user_id": "u2", "email": "a@example.com"}, "u2"),
        ({"email": "a@example.com"}, "a@example.com"),
        ({"open_id": "", "user_id": "u2"}, "u2"),
    ],
)
def test_of_several_ids_the_first_counts(ids: dict[str, str], person: str) -> None:
    """An open id counts before a user id before an address."""
    world = World()
    message_id = world.ephemeral(card(), person=ids).data["message_id"]
    assert person == world.platform.message(message_id).only_for


def test_a_person_is_known_by_the_ids_of_their_clicks() -> None:
    """Who clicked under an open id and a user id sees what is sent to either."""
    world = World()
    bob = BOB.__class__(open_id=BOB.open_id, user_id="u_bob")
    world.close_click(world.open_click(world.put(card()), bob))
    message_id = world.ephemeral(card("只有你"), person={"user_id": "u_bob"}).data["message_id"]
    assert card("只有你") == world.shown(message_id, bob)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"open_id": None}, 10003),
        ({"open_id": 7}, 10003),
        ({"msg_type": "text"}, 10003),
        ({"chat_id": None}, 10003),
        ({"chat_id": "oc_unknown"}, 10002),
        ({"card": json.dumps(card())}, 10003),
        ({"card": {"config": []}}, 11246),
        ({"card": card("x" * 30 * 1024)}, 11246),
    ],
)
def test_an_ephemeral_card_that_makes_no_sense_is_refused(body: dict[str, Any], code: int) -> None:
    """The card is an object here, not a text."""
    world = World()
    sent = {"chat_id": world.chat, "open_id": "ou_1", "msg_type": "interactive", "card": card(), **body}
    assert code == world.call("POST", "ephemeral/v1/send", sent).code
    assert {} == world.platform.messages


def test_there_are_none_in_two_person_chats_or_dissolved_ones() -> None:
    """They are for groups that the bot is in."""
    world = World()
    person = world.platform.chat_with("ou_1").chat_id
    assert 10003 == world.ephemeral(card(), chat=person).code
    world.platform.chat(world.chat).is_dissolved = True
    assert 10002 == world.ephemeral(card()).code


def test_forty_are_sent_to_a_chat_in_a_second() -> None:
    """The next one is refused and noted; the limit of ordinary messages is not touched."""
    world = World()
    assert [0] * 40 + [11233] == [world.ephemeral(card()).code for _ in range(41)]
    assert ["chat_ephemeral_per_second"] == world.broken()
    assert 0 == world.send("hi").code
