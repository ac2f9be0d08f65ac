"""Every kind of effect that takes a call, and how one sees that it was performed once."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from shared.core.effects import (
    Call,
    CallApi,
    DeleteEphemeral,
    Effect,
    FetchChat,
    FetchMessage,
    RenameChat,
    Reply,
    SendCard,
    SendEphemeral,
    SendText,
    SetStreaming,
    StreamText,
    UpdateCard,
    UpdateChat,
    UpdateElement,
)
from tests.scenario.handlers import BLANK
from tests.support.world import World

EXCLUSIVE: Final[dict[str, Any]] = {"config": {"update_multi": False}, "elements": [{"tag": "hr"}]}
SHARED: Final[dict[str, Any]] = {"config": {"update_multi": True}, "elements": [{"tag": "hr"}]}

BROUGHT: Final = "brought"
"""What brings something back does it under this name, and a text is sent for it."""

ENTITIES: Final = "/open-apis/cardkit/v1/cards"

Seen = Callable[[World, str], object]


def part(text: str) -> dict[str, Any]:
    """Return an element with a text."""
    return {"tag": "markdown", "element_id": "answer", "content": text}


def whole(text: str) -> dict[str, Any]:
    """Return a card of JSON 2.0 with that element."""
    return {"schema": "2.0", "config": {"streaming_mode": True}, "body": {"elements": [part(text)]}}


def shown(running: World, message_id: str) -> object:
    """Return the card that everybody sees."""
    card = running.simulator.platform.message(message_id).card
    return None if card is None else json.loads(card.text)


def text_shown(running: World, message_id: str) -> object:
    """Return the text of a card's only element."""
    card: Any = shown(running, message_id)
    return card["body"]["elements"][0]["content"]


def seen_by_clicker(running: World, message_id: str) -> object:
    """Return what the person who clicked sees instead."""
    views = running.simulator.platform.message(message_id).views
    return [json.loads(card.text)["elements"] for card in views.values()]


def chat_of(running: World, message_id: str) -> Any:
    """Return the chat that a card is in."""
    platform = running.simulator.platform
    return platform.chat(platform.message(message_id).chat_id)


def others(running: World, message_id: str) -> object:
    """Return how many other messages are in the card's chat."""
    return len(chat_of(running, message_id).message_ids) - 1


def name(running: World, message_id: str) -> object:
    """Return the name of the card's chat."""
    return chat_of(running, message_id).name


def is_streaming(running: World, message_id: str) -> object:
    """Return whether the card streams texts."""
    card: Any = shown(running, message_id)
    return card["config"]["streaming_mode"]


def is_gone(running: World, message_id: str) -> object:
    """Return whether a message was taken away."""
    return running.simulator.platform.message(message_id).is_recalled


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    An effect, and how one sees that it was performed once.

    Attributes:
        steps: What its pump asks the ledger besides what every pump does.
        first: Effects that were performed in peace before.
        card: What is clicked.
    """

    effect: Effect
    seen: Seen
    expected: object
    steps: tuple[str, ...] = ()
    first: tuple[Effect, ...] = ()
    card: dict[str, Any] = field(default_factory=lambda: BLANK)
    at_least: bool = False


KINDS: Final = {
    "UpdateCard": Kind(effect=UpdateCard(SHARED), seen=shown, expected=SHARED),
    "UpdateCard by right": Kind(
        effect=UpdateCard(EXCLUSIVE),
        seen=seen_by_clicker,
        expected=[EXCLUSIVE["elements"]],
        steps=("tokens", "begun"),
        card=EXCLUSIVE,
    ),
    "UpdateCard of an entity": Kind(
        effect=UpdateCard(whole("new")),
        seen=text_shown,
        expected="new",
        steps=("begun",),
        first=(UpdateElement("answer", part("old")),),
        card=whole(""),
    ),
    "UpdateElement": Kind(
        effect=UpdateElement("answer", part("new")),
        seen=text_shown,
        expected="new",
        steps=("begun",),
        first=(UpdateElement("answer", part("old")),),
        card=whole(""),
    ),
    "UpdateElement of a card whose entity must be asked for": Kind(
        effect=UpdateElement("answer", part("new")), seen=text_shown, expected="new", steps=("begun",), card=whole("")
    ),
    "StreamText": Kind(
        effect=StreamText("answer", "new"),
        seen=text_shown,
        expected="new",
        steps=("begun",),
        first=(SetStreaming(on=True),),
        card=whole(""),
    ),
    "SetStreaming": Kind(
        effect=SetStreaming(on=False),
        seen=is_streaming,
        expected=False,
        steps=("begun",),
        first=(SetStreaming(on=True),),
        card=whole(""),
    ),
    "RenameChat": Kind(effect=RenameChat("跟进中"), seen=name, expected="跟进中"),
    "UpdateChat": Kind(effect=UpdateChat("跟进中", "支付告警"), seen=name, expected="跟进中"),
    "SendText": Kind(effect=SendText("a"), seen=others, expected=1, steps=("begun",)),
    "SendCard": Kind(effect=SendCard(SHARED), seen=others, expected=1, steps=("begun",)),
    "Reply": Kind(effect=Reply("a"), seen=others, expected=1, steps=("begun",)),
    "SendEphemeral": Kind(effect=SendEphemeral(SHARED), seen=others, expected=1, at_least=True),
    "DeleteEphemeral": Kind(effect=DeleteEphemeral(), seen=is_gone, expected=True),
    "FetchChat": Kind(effect=FetchChat(name=BROUGHT), seen=others, expected=1, steps=("begun",)),
    "FetchMessage": Kind(effect=FetchMessage(name=BROUGHT), seen=others, expected=1, steps=("begun",)),
    "CallApi": Kind(
        effect=CallApi("POST", ENTITIES, body={"type": "card_json", "data": json.dumps(whole(""))}, name=BROUGHT),
        seen=others,
        expected=1,
        steps=("begun",),
    ),
    "Call": Kind(effect=Call(BROUGHT), seen=others, expected=1, steps=("begun",)),
}
