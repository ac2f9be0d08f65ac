"""
Calls that change cards by other ways than their message, as values: see `shared.feishu.openapi`.

Source: docs/reference/platform.md, the section named at each call.
"""

from collections.abc import Sequence

import msgspec

from shared.core.ids import MessageId
from shared.core.json_text import JsonText, json_text
from shared.feishu.cards import everybodys, only_for
from shared.feishu.limits import PREVIEW_REFRESHES
from shared.feishu.members import utf8, written
from shared.feishu.openapi import ApiRequest, json_body


def update_card_by_token(token: str, card: JsonText, people: Sequence[str]) -> ApiRequest:
    """
    Replace a card by the right that a click gave ("Delayed updates"): for these people, or for everybody if it is none.

    Args:
        token: The click's ``c-…`` token: a secret, which goes into the body.
        people: Open ids.
    """
    shown = only_for(card, people) if people else everybodys(card)
    return ApiRequest(
        api="interactive.v1.card.update",
        method="POST",
        path="/open-apis/interactive/v1/card/update",
        body=written({"token": _raw(json_text(token)), "card": _raw(shown)}),
    )


def send_ephemeral(chat_id: str, to: str, card: JsonText) -> ApiRequest:
    """
    Show one person a card in a group ("Ephemeral cards"). Read the reply's data with `shared.feishu.openapi.sent`.

    Args:
        to: ``ou_…`` open id, an e-mail address, else a user id.
    """
    kind = "open_id" if to.startswith("ou_") else "email" if "@" in to else "user_id"
    return ApiRequest(
        api="ephemeral.v1.send",
        method="POST",
        path="/open-apis/ephemeral/v1/send",
        body=written({
            "chat_id": _raw(json_text(chat_id)),
            kind: _raw(json_text(to)),
            "msg_type": _raw(json_text("interactive")),
            "card": _raw(card),
        }),
    )  # fmt: skip


def delete_ephemeral(message_id: MessageId) -> ApiRequest:
    """Take a card away that one person was shown ("Ephemeral cards")."""
    return ApiRequest(
        api="ephemeral.v1.delete",
        method="POST",
        path="/open-apis/ephemeral/v1/delete",
        body=json_body({"message_id": message_id}),
    )


def refresh_previews(tokens: Sequence[str], people: Sequence[str]) -> ApiRequest:
    """
    Have links asked for again ("Refreshing link previews"), for these people, or for everybody if none are given.

    Args:
        tokens: Preview tokens: secrets, which go into the body.
        people: Open ids.
    """
    whom = {"open_ids": list(people)} if people else {}
    return ApiRequest(
        api=PREVIEW_REFRESHES,
        method="POST",
        path="/open-apis/im/v2/url_previews/batch_update",
        body=json_body({"preview_tokens": list(tokens), **whom}),
    )


def _raw(text: JsonText) -> msgspec.Raw:
    return msgspec.Raw(utf8(text.encode("utf-8", "surrogatepass")))
