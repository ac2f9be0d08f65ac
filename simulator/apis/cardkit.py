"""
CardKit: cards as entities, created, sent, and changed in part.

Source: docs/reference/platform.md, "Cards as entities".
"""

from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from shared.core.ids import MessageId
from shared.feishu.limits import STREAMED_CHARS
from simulator import elements
from simulator.apis.calling import Calling, done
from simulator.apis.entities import OF_ANOTHER_APP, new_entity, operate, switch_streaming, whole_card
from simulator.apis.parameters import array_in, json_in, object_in, text_in
from simulator.cards import CardRead, read_card
from simulator.entities import EMPTY, NOT_2_0, NOT_A_CARD
from simulator.refusals import Refused

SETTINGS_FAILED: Final = 300122
_CHARS: Final = 1_000_000
_ENTITY_CHARS: Final = 3_000_000
_SETTINGS: Final = frozenset({"config", "card_link"})


def create_card(calling: Calling) -> Mapping[str, Any]:
    """Keep a card of format 2.0 as an entity and answer its id."""
    text = text_in(calling.body.get("data"), "data", _ENTITY_CHARS)
    match calling.body.get("type"):
        case "card_json":
            whole_card(calling, text)
            card = CardRead(text=text, format="2.0", shared=True)
        case "template":
            card = _template(text)
        case _:
            raise Refused(10002, "type is card_json or template")
    return done({"card_id": new_entity(calling, card, since=calling.now).card_id})


def convert_id(calling: Calling) -> Mapping[str, Any]:
    """Answer the id of the entity that a sent card is; asked again, the same."""
    platform, given = calling.platform, calling.body.get("message_id")
    message = platform.messages.get(MessageId(given)) if isinstance(given, str) else None
    if message is None or message.card is None:
        raise Refused(10002, "message_id names no card")
    calling.target = message.message_id
    if platform.chats[message.chat_id].tenant_key != calling.tenant_key:
        raise Refused(OF_ANOTHER_APP)
    if message.card.format != "2.0":
        raise Refused(NOT_2_0)
    if message.entity is None:
        message.entity = new_entity(calling, message.card, since=message.sent_at)
        message.entity.message_id = message.message_id
    return done({"card_id": message.entity.card_id})


def update_card(calling: Calling) -> Mapping[str, Any]:
    """Replace the whole card."""
    card = calling.body.get("card")
    if not isinstance(card, dict) or card.get("type") != "card_json":
        raise Refused(10002, 'card is {"type": "card_json", "data": …}')
    new = whole_card(calling, text_in(card.get("data"), "card.data", _CHARS))
    operate(calling, lambda _: new)
    switch_streaming(calling, {"config": {"streaming_mode": False, **new.get("config", {})}})
    return done({})


def update_settings(calling: Calling) -> Mapping[str, Any]:
    """Change some of the card's settings."""
    settings = object_in(text_in(calling.body.get("settings"), "settings", STREAMED_CHARS), "settings")
    operate(calling, lambda card: _set_up(card, settings))
    switch_streaming(calling, settings)
    return done({})


def batch_update(calling: Calling) -> Mapping[str, Any]:
    """Carry out several changes, all or none of them."""
    actions = json_in(text_in(calling.body.get("actions"), "actions", _CHARS), "actions")
    if not isinstance(actions, list) or not actions:
        raise Refused(10002, "actions is an array of actions")

    def edit(card: dict[str, Any]) -> dict[str, Any]:
        for action in actions:
            card = _act(card, action)
        return card

    operate(calling, edit)
    for action in actions:
        if action["action"] == "partial_update_setting":
            switch_streaming(calling, object_in(action["params"].get("settings"), "settings"))
    return done({})


def create_elements(calling: Calling) -> Mapping[str, Any]:
    """Add elements beside another, or into a container, or at the end."""
    body = calling.body
    text = text_in(body.get("elements"), "elements", _CHARS)
    params = {**body, "elements": json_in(text, "elements")}
    operate(calling, lambda card: _insert(card, params))
    return done({})


def update_element(calling: Calling) -> Mapping[str, Any]:
    """Put another element in one's place."""
    new = object_in(text_in(calling.body.get("element"), "element", _CHARS), "element")
    element_id = calling.inside["element_id"]
    operate(calling, lambda card: elements.replace(card, element_id, new))
    return done({})


def patch_element(calling: Calling) -> Mapping[str, Any]:
    """Change some members of an element."""
    members = object_in(text_in(calling.body.get("partial_element"), "partial_element", _CHARS), "partial_element")
    element_id = calling.inside["element_id"]
    operate(calling, lambda card: elements.merge(card, element_id, members))
    return done({})


def stream_text(calling: Calling) -> Mapping[str, Any]:
    """Let a text element show this whole text, while streaming is on."""
    text = text_in(calling.body.get("content"), "content", STREAMED_CHARS)
    element_id = calling.inside["element_id"]
    operate(calling, lambda card: elements.write(card, element_id, text), is_streamed=True)
    return done({})


def delete_element(calling: Calling) -> Mapping[str, Any]:
    """Take an element out, with what is in it."""
    element_id = calling.inside["element_id"]
    operate(calling, lambda card: elements.remove(card, element_id))
    return done({})


def _act(card: dict[str, Any], action: object) -> dict[str, Any]:
    if not isinstance(action, dict) or not isinstance(action.get("params"), dict):
        raise Refused(10002, 'an action is {"action": …, "params": {…}}')
    params = action["params"]
    match action.get("action"):
        case "partial_update_setting":
            return _set_up(card, object_in(params.get("settings"), "settings"))
        case "add_elements":
            return _insert(card, {**params, "elements": json_in(params.get("elements"), "elements")})
        case "delete_elements":
            for element_id in array_in(params.get("element_ids"), "element_ids"):
                card = elements.remove(card, str(element_id))
            return card
        case "partial_update_element":
            members = object_in(params.get("partial_element"), "partial_element")
            return elements.merge(card, str(params.get("element_id")), members)
        case "update_element":
            return elements.replace(card, str(params.get("element_id")), object_in(params.get("element"), "element"))
        case unknown:
            raise Refused(10002, f"unknown action {unknown}")


def _insert(card: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    how, target = params.get("type"), params.get("target_element_id")
    if how not in get_args(elements.Insertion) or (how != "append" and not target):
        raise Refused(10002, "type is insert_before or insert_after with target_element_id, or append")
    new = array_in(params.get("elements"), "elements")
    if not all(isinstance(each, dict) and isinstance(each.get("tag"), str) for each in new):
        raise Refused(elements.ADD_FAILED, "an element has a tag")
    return elements.insert(card, new, how=cast("elements.Insertion", how), target=target)


def _set_up(card: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    if not settings.keys() <= _SETTINGS or not isinstance(settings.get("config", {}), dict):
        raise Refused(SETTINGS_FAILED, "settings are config and card_link")
    return elements.set_up(card, settings)


def _template(text: str) -> CardRead:
    if not object_in(text, "data"):
        raise Refused(EMPTY)
    try:
        return read_card(f'{{"type":"template","data":{text}}}')
    except Refused as refused:
        raise Refused(NOT_A_CARD, refused.detail) from refused
