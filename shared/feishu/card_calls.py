"""
Calls that change cards by other ways than their message, as values: see `shared.feishu.openapi`.

Source: docs/reference/platform.md, the section named at each call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from shared.core.ids import MessageId
from shared.core.json_text import JsonText, json_text
from shared.feishu.cards import everybodys, only_for
from shared.feishu.limits import PREVIEW_REFRESHES
from shared.feishu.members import utf8, written
from shared.feishu.openapi import ApiRequest, json_body, segment

_ENTITIES: Final = "/open-apis/cardkit/v1/cards"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """
    A card as an entity, and one operation on it.

    Attributes:
        card_id: Its id there.
        sequence: Higher than that of every operation before.
        uuid: The same for every attempt at one operation; ``None``: it may be made twice.
    """

    card_id: str
    sequence: int
    uuid: str | None


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


def find_entity(message_id: MessageId) -> ApiRequest:
    """Ask which entity a card is ("Cards as entities"). Read the reply's data with `entity_found`."""
    return ApiRequest(
        api="cardkit.v1.card.id_convert",
        method="POST",
        path=f"{_ENTITIES}/id_convert",
        body=json_body({"message_id": message_id}),
    )


def entity_found(data: Mapping[str, Any]) -> str | None:
    """Return the entity's id, if the platform told one."""
    card_id = data.get("card_id")
    return card_id if isinstance(card_id, str) and card_id else None


def update_entity(entity: Entity, card: JsonText) -> ApiRequest:
    """Replace a card that is an entity, whole ("Cards as entities")."""
    return _operation(entity, "PUT", "card.update", "", {"card": {"type": "card_json", "data": card}})


def update_element(entity: Entity, element_id: str, element: JsonText) -> ApiRequest:
    """Replace one element ("Cards as entities")."""
    path = f"/elements/{segment(element_id)}"
    return _operation(entity, "PUT", "card_element.update", path, {"element": element})


def stream_text(entity: Entity, element_id: str, text: str) -> ApiRequest:
    """Let an element show a text, while streaming is on ("Cards as entities")."""
    path = f"/elements/{segment(element_id)}/content"
    return _operation(entity, "PUT", "card_element.content", path, {"content": text})


def set_streaming(entity: Entity, *, on: bool) -> ApiRequest:
    """Switch streaming on or off ("Cards as entities")."""
    settings = json_text({"config": {"streaming_mode": on}})
    return _operation(entity, "PATCH", "card.settings", "/settings", {"settings": settings})


def _operation(
    entity: Entity, method: Literal["PUT", "PATCH"], name: str, path: str, body: Mapping[str, Any]
) -> ApiRequest:
    once = {} if entity.uuid is None else {"uuid": entity.uuid}
    return ApiRequest(
        api=f"cardkit.v1.{name}",
        method=method,
        path=f"{_ENTITIES}/{segment(entity.card_id)}{path}",
        body=json_body({**body, "sequence": entity.sequence, **once}),
    )


def _raw(text: JsonText) -> msgspec.Raw:
    return msgspec.Raw(utf8(text.encode("utf-8", "surrogatepass")))
