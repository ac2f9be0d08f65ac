"""
Link previews: clients are made to ask for them again.

Source: docs/reference/platform.md, "Refreshing link previews".
"""

import math
from collections.abc import Mapping
from typing import Any

from shared.core.ids import OpenId
from shared.feishu.limits import PREVIEW_PEOPLE, PREVIEW_REFRESH_MS, PREVIEW_TOKENS
from simulator.apis.calling import Calling, done
from simulator.platform import PreviewPull
from simulator.previews import Preview
from simulator.refusals import FREQUENCY_LIMIT, Refused


def refresh_previews(calling: Calling) -> Mapping[str, Any]:
    """Let everybody's client who shows these links, or only these people's, ask for them again."""
    found = [_preview(calling, token) for token in _texts(calling, "preview_tokens", PREVIEW_TOKENS)]
    people = [OpenId(person) for person in _texts(calling, "open_ids", PREVIEW_PEOPLE)]
    if not found:
        raise Refused(230001, "preview_tokens holds 1 to 10 tokens")
    wall, apart_ms = calling.platform.clock.wall(), PREVIEW_REFRESH_MS / calling.platform.limits.per_preview
    for preview in found:
        left_ms = preview.refreshed_at + apart_ms - wall if preview.refreshed_at is not None else 0
        if left_ms > 0 and calling.is_counted:
            calling.note("preview_refresh")
            raise Refused(FREQUENCY_LIMIT, wait_s=math.ceil(left_ms / 1000), quota=1)
    for preview in found:
        preview.refreshed_at = wall
        wanted = [person for person in people if person in preview.people] if people else list(preview.people)
        calling.platform.owed += [PreviewPull(preview=preview, person=person) for person in wanted]
    return done({})


def _texts(calling: Calling, name: str, most: int) -> list[str]:
    given = calling.body.get(name) or []
    if not isinstance(given, list) or len(given) > most or not all(isinstance(each, str) for each in given):
        raise Refused(230001, f"{name} holds at most {most} texts")
    return given


def _preview(calling: Calling, token: str) -> Preview:
    preview = calling.platform.previews.get(token)
    if preview is None or calling.platform.chats[preview.chat_id].tenant_key != calling.tenant_key:
        raise Refused(230001, "unknown preview_token")
    return preview
