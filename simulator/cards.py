"""
What the platform asks of a card, and what it reads in one.

Sources: docs/reference/platform.md, "Shared and exclusive cards", "Card JSON 2.0" and "Validity".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from shared.core.cards import CardFormat
from shared.core.json_text import EpochMs, JsonText, json_text
from shared.feishu.limits import CARD_BYTES, DAY_MS, INTERACTIVE_DAYS, UPDATABLE_DAYS
from simulator.refusals import Refused
from simulator.wire_json import any_json

MAX_ELEMENTS: Final = 200

_TOP_LEVEL_2_0: Final = frozenset({"schema", "config", "card_link", "header", "body"})
_TAGS_ONLY_IN_1_0: Final = frozenset({"note", "action"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRead:
    """
    A card that the platform accepts.

    Attributes:
        text: Its JSON, as it came.
        shared: Everybody sees it change; an exclusive one changes for one person at a time.
        open_ids: Whom a delayed update of an exclusive card is for.
    """

    text: JsonText
    format: CardFormat
    shared: bool
    open_ids: tuple[str, ...] = ()


def read_card(text: object) -> CardRead:
    """
    Read a card from its JSON text, as messages carry it.

    Raises:
        Refused: 230001 no text; 230025 over 30 KB; 230099 not a card, with the reason as ``ErrCode``.
    """
    if not isinstance(text, str):
        raise Refused(230001, "content is not a string of JSON")
    if len(text) * 4 > CARD_BYTES and len(text.encode(errors="surrogatepass")) > CARD_BYTES:
        raise Refused(230025)
    try:
        content = any_json(text)
    except ValueError as error:
        raise _bad_card(200621, "parse card json err") from error
    return read_card_value(content, JsonText(text))


def read_card_value(content: object, text: JsonText | None = None) -> CardRead:
    """
    Read a card from its JSON value, as callbacks and delayed updates carry it.

    Raises:
        Refused: 230099 not a card.
    """
    if not isinstance(content, dict):
        raise _bad_card(200621, "a card is a JSON object")
    kept = text if text is not None else json_text(content)
    if content.get("type") == "template":
        # What a template holds is known to the platform alone; here it counts as a shared card of format 1.0.
        if not isinstance(content.get("data"), dict) or not content["data"].get("template_id"):
            raise _bad_card(200380, "template does not exist")
        return CardRead(text=kept, format="1.0", shared=True)
    config = content.get("config", {})
    if not isinstance(config, dict):
        raise _bad_card(200621, "config is not an object")
    if content.get("schema") == "2.0":
        _check_2_0(content, config)
        return CardRead(text=kept, format="2.0", shared=True)
    _check_1_0(content)
    open_ids = content.get("open_ids", [])
    people = tuple(str(person) for person in open_ids) if isinstance(open_ids, list) else ()
    return CardRead(text=kept, format="1.0", shared=config.get("update_multi") is True, open_ids=people)


def texts_of(content: object) -> Iterator[str]:
    """Return the texts that a card shows, in order of their JSON."""
    if isinstance(content, dict):
        if isinstance(content.get("content"), str):
            yield content["content"]
        for value in content.values():
            yield from texts_of(value)
    elif isinstance(content, list):
        for value in content:
            yield from texts_of(value)


def is_updatable(sent_at: EpochMs, card: CardFormat, now: EpochMs) -> bool:
    """Return whether a card may still change: 14 days of 24 hours, in either format."""
    return now - sent_at < UPDATABLE_DAYS[card] * DAY_MS


def is_interactive(sent_at: EpochMs, card: CardFormat, now: EpochMs) -> bool:
    """Return whether a click still reaches the app: 30 days for format 1.0, 14 for 2.0."""
    return now - sent_at < INTERACTIVE_DAYS[card] * DAY_MS


def _check_1_0(content: dict[str, Any]) -> None:
    if not isinstance(content.get("elements", []), list):
        raise _bad_card(200621, "elements is not an array")
    for key in ("header", "i18n_elements"):
        if not isinstance(content.get(key, {}), dict):
            raise _bad_card(200621, f"{key} is not an object")


def _check_2_0(content: dict[str, Any], config: dict[str, Any]) -> None:
    unknown = sorted(content.keys() - _TOP_LEVEL_2_0)
    if unknown:
        raise _bad_card(200621, f"unknown property {unknown[0]}")
    if config.get("update_multi") is False:
        raise _bad_card(300302, "update_multi can only be true")
    body = content.get("body", {})
    if not isinstance(body, dict) or not isinstance(body.get("elements", []), list):
        raise _bad_card(200621, "body is not an object with an array of elements")
    count = 0
    for tag in _tags(body.get("elements", [])):
        count += 1
        if tag in _TAGS_ONLY_IN_1_0:
            raise _bad_card(200861, f"cards of schema V2 no longer support this capability; unsupported tag {tag}")
    if count > MAX_ELEMENTS:
        raise _bad_card(300305, "element exceeds the limit")


def _tags(elements: list[Any]) -> Iterator[str]:
    for element in elements:
        if not isinstance(element, dict):
            continue
        if isinstance(element.get("tag"), str):
            yield element["tag"]
        for key in ("elements", "columns"):
            nested = element.get(key)
            if isinstance(nested, list):
                yield from _tags(nested)


def _bad_card(code: int, reason: str) -> Refused:
    return Refused(230099, f"ErrCode: {code}; ErrMsg: {reason}; ")
