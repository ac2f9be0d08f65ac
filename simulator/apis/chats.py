"""Chats: read and changed. Source: docs/reference/platform.md, "Chats"."""

from collections.abc import Mapping
from typing import Any

from simulator.apis.calling import Calling, done


def update_chat(calling: Calling) -> Mapping[str, Any]:
    """Change a chat: its name, its description and whatever else the call names; the rest stays."""
    calling.chat().change(calling.body, now=calling.now)
    return done({})


def get_chat(calling: Calling) -> Mapping[str, Any]:
    """Tell a chat."""
    chat = calling.chat()
    told: dict[str, Any] = {
        "avatar": "", "description": "", "owner_id_type": "open_id", "owner_id": "ou_owner",
        **chat.profile, "edit_permission": chat.edit_permission, "chat_mode": chat.mode,
        "chat_tag": "inner", "external": False, "tenant_key": chat.tenant_key, "user_count": "2", "bot_count": "1",
        "chat_status": "dissolved" if chat.is_dissolved else "normal",
    }  # fmt: skip
    if chat.name is not None:
        told["name"] = chat.name
    if chat.mode == "group":
        told.setdefault("chat_type", "private")
    if chat.bot == "owner":
        # Of a group that a bot owns, the platform tells no owner.
        told = {key: value for key, value in told.items() if key not in {"owner_id", "owner_id_type"}}
    return done(told)
