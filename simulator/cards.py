"""
What the platform asks of a card, and what it reads in one.

Sources: docs/reference/platform.md, "Shared and exclusive cards", "Card JSON 2.0" and "Validity".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from shared.core.cards import CardFormat
from shared.core.json_text import EpochMs, JsonText, json_text
from shared.feishu.limits import CARD_BYTES, CARD_ELEMENTS, DAY_MS, INTERACTIVE_DAYS, UPDATABLE_DAYS
from simulator.elements import elements
from simulator.refusals import Refused
from simulator.wire_json import any_json

DEEPEST: Final = 100
"""How deep a card may be nested here; the platform's own limit is not documented."""

TOO_DEEP: Final = "nested too deeply"

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
    if kept.count("{") + kept.count("[") > DEEPEST and is_too_deep(content):
        raise _bad_card(200621, TOO_DEEP)
    if content.get("type") == "template":
        # What a template holds is known to the platform alone; here it counts as a shared card of format 1.0.
        if not isinstance(content.get("data"), dict) or not content["data"].get("template_id"):
            raise _bad_card(200380, "template does not exist")
        people = _open_ids(content)
        return CardRead(text=kept, format="1.0", shared=not people, open_ids=people)
    config = content.get("config", {})
    if not isinstance(config, dict):
        raise _bad_card(200621, "config is not an object")
    if content.get("schema") == "2.0":
        flaw = flaw_of_2_0(content)
        if flaw is not None:
            raise _bad_card(*flaw)
        return CardRead(text=kept, format="2.0", shared=True)
    _check_1_0(content)
    return CardRead(text=kept, format="1.0", shared=config.get("update_multi") is True, open_ids=_open_ids(content))


def is_too_deep(content: object) -> bool:
    """Return whether JSON is nested deeper than any card; what reads cards here goes down by calls."""
    level = [content]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


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


def flaw_of_2_0(content: dict[str, Any]) -> tuple[int, str] | None:
    """Return why the platform would not draw a card of format 2.0: its code and its reason."""
    unknown, config, body = sorted(content.keys() - _TOP_LEVEL_2_0), content.get("config", {}), content.get("body", {})
    if unknown:
        return 200621, f"unknown property {unknown[0]}"
    if not isinstance(config, dict):
        return 200621, "config is not an object"
    if config.get("update_multi") is False:
        return 300302, "update_multi can only be true"
    if not isinstance(body, dict) or not isinstance(body.get("elements", []), list):
        return 200621, "body is not an object with an array of elements"
    tags = [element["tag"] for element in elements(body)]
    unsupported = sorted(_TAGS_ONLY_IN_1_0.intersection(tags))
    if unsupported:
        return 200861, f"cards of schema V2 no longer support this capability; unsupported tag {unsupported[0]}"
    return (300305, "element exceeds the limit") if len(tags) > CARD_ELEMENTS else None


def _open_ids(content: dict[str, Any]) -> tuple[str, ...]:
    open_ids = content.get("open_ids", [])
    return tuple(str(person) for person in open_ids) if isinstance(open_ids, list) else ()


def _bad_card(code: int, reason: str) -> Refused:
    return Refused(230099, f"ErrCode: {code}; ErrMsg: {reason}; ")
