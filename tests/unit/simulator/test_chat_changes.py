from typing import Any

import pytest

from tests.unit.simulator.world import World


def change(world: World, members: Any, chat: str | None = None) -> int:
    """Change a chat and return the code."""
    return world.call("PUT", f"im/v1/chats/{chat or world.chat}", members).code


def told(world: World, chat: str | None = None) -> dict[str, Any]:
    """Return what the platform tells of a chat."""
    return world.call("GET", f"im/v1/chats/{chat or world.chat}").data


def test_a_member_changes_what_members_may() -> None:
    """Name, description, avatar and names in other languages are kept and told; the rest stays."""
    world = World()
    assert 0 == change(world, {"description": "值班", "avatar": "img_1", "i18n_names": {"zh_cn": "报警"}})
    assert 0 == change(world, {"name": "跟进中", "i18n_names": {"en_us": "Alerts"}})
    found = told(world)
    assert ("跟进中", "值班", "img_1") == (found["name"], found["description"], found["avatar"])
    assert {"zh_cn": "报警", "en_us": "Alerts"} == found["i18n_names"]


def test_what_only_owner_and_managers_may_change_is_refused_to_a_member() -> None:
    """A forbidden member of the call forbids the whole call."""
    world = World()
    assert 232016 == change(world, {"name": "跟进中", "at_all_permission": "only_owner"})
    assert "报警群" == told(world)["name"]


@pytest.mark.parametrize("bot", ["manager", "owner"])
def test_owner_and_managers_change_everything(bot: Any) -> None:
    """Also where members may change nothing."""
    world = World()
    chat = world.platform.new_chat("值班群", edit_permission="only_owner", bot=bot).chat_id
    members = {
        "name": "跟进中", "edit_permission": "all_members", "add_member_permission": "only_owner",
        "share_card_permission": "not_allowed", "membership_approval": "approval_required", "owner_id": "ou_2",
    }  # fmt: skip
    assert 0 == change(world, members, chat)
    found = told(world, chat)
    assert members == {**members, **{key: found[key] for key in members if key in found}}
    assert ("owner_id" in found) is (bot == "manager")


@pytest.mark.parametrize(
    "members",
    [
        {"description": 7},
        {"i18n_names": []},
        {"i18n_names": {"fr_fr": "alertes"}},
        {"i18n_names": {"zh_cn": None}},
        {"edit_permission": "nobody"},
        {"add_member_permission": "only_owner"},
        {"add_member_permission": "only_owner", "share_card_permission": "allowed"},
        {"chat_type": "public", "name": "x"},
        {},
    ],
)
def test_a_value_that_is_none_is_refused(members: dict[str, Any]) -> None:
    """Also of an owner, and nothing is changed."""
    world = World()
    chat = world.platform.new_chat("值班群", bot="owner")
    assert 232001 == change(world, members, chat.chat_id)
    assert {} == chat.profile
