"""Card entities as calls name them: created, found, sent, changed one operation at a time."""

from collections.abc import Callable
from typing import Any, Final

from shared.core.ids import MessageId
from shared.core.json_text import EpochMs
from shared.feishu.limits import CARDKIT_UUID_CHARS, LAST_SEQUENCE
from simulator.apis.calling import Calling
from simulator.cards import CardRead
from simulator.entities import (
    SEQUENCE_NOT_INCREASED,
    TOO_BIG,
    Entity,
    is_asked_to_stream,
    read_entity,
    read_entity_value,
)
from simulator.messages import Message
from simulator.refusals import FREQUENCY_LIMIT, Refused
from simulator.wire_json import any_json

NO_SUCH_ENTITY: Final = 200740
IN_INTERACTION: Final = 200810
OF_ANOTHER_APP: Final = 300311

Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes another card of a card; raises `Refused`."""


def new_entity(calling: Calling, card: CardRead, *, since: EpochMs) -> Entity:
    """Keep a card as an entity, as old as it is."""
    platform = calling.platform
    content = any_json(card.text)
    entity = Entity(
        card_id=platform.names.card(), tenant_key=calling.tenant_key, created_at=since, card=card,
        streaming_since=since if is_asked_to_stream(content) else None,
    )  # fmt: skip
    platform.entities[entity.card_id] = entity
    return entity


def entity_to_send(calling: Calling, content: str) -> Entity | None:
    """
    Return the entity that a message's content names, if it names one.

    Raises:
        Refused: 230099 there is none, or it is too old, another's, or was sent before.
    """
    try:
        card = any_json(content)
    except ValueError:
        return None
    if not isinstance(card, dict) or card.get("type") != "card":
        return None
    card_id = card["data"].get("card_id") if isinstance(card.get("data"), dict) else None
    try:
        entity = _own(calling, card_id)
        entity.check(now=calling.now)
    except Refused as refused:
        raise Refused(230099, f"ErrCode: {refused.code}; ErrMsg: {refused.message}; ") from refused
    if entity.message_id is not None:
        # That it can be sent once is documented, with which code it is refused is not.
        raise Refused(230099, "ErrCode: 200220; ErrMsg: the card entity has been sent; ")
    return entity


def operate(calling: Calling, edit: Edit, *, is_streamed: bool = False) -> None:
    """
    Change an entity, and the message that shows it.

    Raises:
        Refused: See `Entity.check_turn` and `read_entity_value`; 10002 uuid or sequence; 200740, 200750, 300311 the
            entity; 200810 a click on it waits for its answer; 99991400 more than ten calls in a second; and what the
            edit refuses.
    """
    entity = _entity(calling)
    uuid, sequence = _turn(calling)
    try:
        entity.check_turn(uuid, sequence)
    except Refused as refused:
        if refused.code == SEQUENCE_NOT_INCREASED:
            calling.note("sequence_not_increased")
        raise
    message = _message(calling, entity.message_id)
    if message is not None and message.open_clicks:
        raise Refused(IN_INTERACTION)
    if is_streamed:
        entity.check_streaming(now=calling.now)
    content = edit(_content(calling.platform.card_of(entity)))
    try:
        new = read_entity_value(content)
    except Refused as refused:
        if refused.code == TOO_BIG:
            calling.note("card_too_large")
        raise
    entity.take_turn(uuid, sequence)
    entity.card = new
    if message is not None:
        message.update_by_cardkit(new, now=calling.now)


def switch_streaming(calling: Calling, content: dict[str, Any]) -> None:
    """Let streaming be on or off from now on, as a ``config`` says; a config that does not say leaves it."""
    config = content.get("config")
    if isinstance(config, dict) and "streaming_mode" in config:
        entity = calling.platform.entities[calling.inside["card_id"]]
        entity.streaming_since = calling.now if config["streaming_mode"] is True else None


def whole_card(calling: Calling, text: object) -> dict[str, Any]:
    """Return the content of a card that a call brings; raises as `read_entity` does."""
    try:
        return _content(read_entity(text))
    except Refused as refused:
        if refused.code == TOO_BIG:
            calling.note("card_too_large")
        raise


def _entity(calling: Calling) -> Entity:
    calling.count(
        "entity_per_second", calling.platform.limits.per_entity, calling.inside["card_id"], code=FREQUENCY_LIMIT
    )
    entity = _own(calling, calling.inside["card_id"])
    try:
        entity.check(now=calling.now)
    except Refused:
        calling.note("update_expired")
        raise
    return entity


def _own(calling: Calling, card_id: object) -> Entity:
    entity = calling.platform.entities.get(card_id) if isinstance(card_id, str) else None
    if entity is None:
        raise Refused(NO_SUCH_ENTITY)
    if entity.tenant_key != calling.tenant_key:
        raise Refused(OF_ANOTHER_APP)
    return entity


def _turn(calling: Calling) -> tuple[str | None, int]:
    uuid, sequence = calling.body.get("uuid"), calling.body.get("sequence")
    if uuid is not None and not (isinstance(uuid, str) and 1 <= len(uuid) <= CARDKIT_UUID_CHARS):
        raise Refused(10002, f"uuid has 1 to {CARDKIT_UUID_CHARS} characters")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or not 1 <= sequence <= LAST_SEQUENCE:
        raise Refused(10002, f"sequence is a whole number from 1 to {LAST_SEQUENCE}")
    return uuid, sequence


def _message(calling: Calling, message_id: MessageId | None) -> Message | None:
    return calling.platform.messages[message_id] if message_id is not None else None


def _content(card: CardRead) -> dict[str, Any]:
    content: dict[str, Any] = any_json(card.text)
    return content
