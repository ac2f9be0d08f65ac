"""The half of the control interface that only looks: messages, chats, tokens, previews, and what happened."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import parse_qs

from simulator.connections import Connections
from simulator.history import PAGE, Trail
from simulator.platform import Platform, UnknownThing
from simulator.stories import story_of_card_token, story_of_chat, story_of_entity, story_of_message, story_of_preview

NO_SUCH_CALL: Final = "such call: see docs/reference/simulator.md"


def look(platform: Platform, connections: Connections, name: str, query: str) -> Any:
    """
    Return what a GET asks for.

    Raises:
        UnknownThing: There is no such thing.
        ValueError: A parameter is none.
    """
    kind, _, one = name.partition("/")
    given = {key: values[-1] for key, values in parse_qs(query).items()}
    found: Any
    match kind, one:
        case "messages", "":
            chat = platform.chat(given.get("chat_id", ""))
            messages = [platform.messages[message_id] for message_id in chat.message_ids]
            now = platform.clock.now()
            found = [story_of_message(message, now=now, with_versions=False) for message in messages]
        case "messages", _:
            found = story_of_message(platform.message(one), now=platform.clock.now())
        case "chats", _:
            found = story_of_chat(platform.chat(one))
        case "cards", _:
            found = story_of_entity(platform, one)
        case "card_tokens", "":
            wanted = given.get("message_id")
            tokens = [each for each in platform.card_tokens.values() if wanted in {None, each.message_id}]
            found = [story_of_card_token(token) for token in tokens[-PAGE:]]
        case "previews", "":
            wanted = given.get("message_id")
            found = [story_of_preview(each) for each in platform.previews.values() if wanted in {None, each.message_id}]
        case (("calls" | "clicks"), ""):
            found = _page(platform.history.calls if kind == "calls" else platform.history.clicks, given)
        case "connections", "":
            found = _open(connections)
        case "violations", "":
            found = [asdict(each) for each in platform.judge.violations[_whole(given, "after", 0) :]]
        case _:
            raise UnknownThing(NO_SUCH_CALL)
    return found


def _open(connections: Connections) -> list[dict[str, Any]]:
    told = ("device_id", "opened_at_ms", "pings", "delivered")
    return [{name: getattr(client, name) for name in told} for client in connections.clients]


def _page(trail: Trail[Any], given: Mapping[str, str]) -> list[dict[str, Any]]:
    return [asdict(each) for each in trail.after(_whole(given, "after", 0), _whole(given, "limit", PAGE))]


def _whole(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name}: expected a whole number, for example {name}=0")
    return int(text)
