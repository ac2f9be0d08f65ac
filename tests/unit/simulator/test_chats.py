import pytest

from tests.unit.simulator.world import START_MS, World


def test_a_chat_is_renamed_and_keeps_its_earlier_names() -> None:
    """The story's second half: the group is called 跟进中."""
    world = World()
    world.clock.advance(2)
    assert {} == world.call("PUT", f"im/v1/chats/{world.chat}", {"name": "跟进中"}).data
    names = world.platform.chat(world.chat).names
    assert [(START_MS, "报警群"), (START_MS + 2000, "跟进中")] == [(given.at_ms, given.name) for given in names]
    assert "跟进中" == world.call("GET", f"im/v1/chats/{world.chat}").data["name"]


def test_a_bot_that_is_no_manager_cannot_rename_a_guarded_chat() -> None:
    """Where only the owner may edit, the rename is refused and the name stays."""
    world = World()
    chat = world.platform.new_chat("值班群", edit_permission="only_owner")
    assert 232002 == world.call("PUT", f"im/v1/chats/{chat.chat_id}", {"name": "跟进中"}).code
    assert "值班群" == chat.name


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_chat_needs_a_name(name: object) -> None:
    """A name that is none is a bad parameter."""
    world = World()
    assert 232001 == world.call("PUT", f"im/v1/chats/{world.chat}", {"name": name}).code


def test_a_dissolved_chat_takes_no_name_and_no_message() -> None:
    """Nothing can be done in a dissolved chat, but it can be looked at."""
    world = World()
    world.platform.chat(world.chat).is_dissolved = True
    assert 232009 == world.call("PUT", f"im/v1/chats/{world.chat}", {"name": "跟进中"}).code
    assert 232009 == world.send("hi").code
    assert "dissolved" == world.call("GET", f"im/v1/chats/{world.chat}").data["chat_status"]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_unknown_chat_is_refused(method: str) -> None:
    """A chat that does not exist is a bad chat_id."""
    assert 232006 == World().call(method, "im/v1/chats/oc_unknown", {"name": "x"}).code


def test_a_two_person_chat_has_no_name() -> None:
    """A chat that was never named has no name member, and cannot be named."""
    world = World()
    chat_id = world.send("hi", to="ou_1", kind="open_id").data["chat_id"]
    assert "name" not in world.call("GET", f"im/v1/chats/{chat_id}").data
    assert 232008 == world.call("PUT", f"im/v1/chats/{chat_id}", {"name": "x"}).code


def test_other_members_of_a_chat_are_accepted_and_forgotten() -> None:
    """A change that leaves the name out leaves the name."""
    world = World()
    assert 0 == world.call("PUT", f"im/v1/chats/{world.chat}", {"description": "x"}).code
    assert ["报警群"] == [given.name for given in world.platform.chat(world.chat).names]
