"""Cards on their way out, as exact text."""

from collections.abc import Sequence

import msgspec

from shared.core.json_text import JsonText
from shared.feishu.members import Members, boolean, joined, members, string, utf8


def is_exclusive(card: JsonText) -> bool:
    """
    Return whether only the person concerned is to see this card: a 1.0 card that says so.

    Source: docs/reference/platform.md, "Shared and exclusive cards".
    """
    content = _content(card)
    config = members(content["config"]) if content is not None and "config" in content else None
    return config is not None and boolean(config.get("update_multi")) is False


def is_written_in_1_0(card: JsonText) -> bool:
    """
    Return whether this is the content of a card of JSON 1.0.

    Not of a template or an entity, which do not say here what they are written in.
    Source: docs/reference/platform.md, "Card JSON 2.0".
    """
    return _content(card) is not None


def everybodys(card: JsonText) -> JsonText:
    """
    Return the card as one that everybody sees changing.

    A 1.0 card is exclusive unless ``config.update_multi`` is true, and an exclusive card cannot be updated by its
    message; so a card without the key gets it. An explicit ``false`` is the author's wish and stays; 2.0 cards are
    always shared; templates and card entities say it where they are defined. Text that is no card at all is left
    to the platform to refuse. Source: docs/reference/platform.md, "Shared and exclusive cards".
    """
    content = _content(card)
    if content is None:
        return card
    config = (members(content["config"]) if "config" in content else None) or {}
    if "update_multi" in config:
        return card
    shared = joined({**config, "update_multi": msgspec.Raw(b"true")})
    return joined({**content, "config": msgspec.Raw(shared.encode())})


def only_for(card: JsonText, people: Sequence[str]) -> JsonText:
    """
    Return the card as one that only these people (open ids) see changing.

    That is a 1.0 card with ``update_multi: false`` and ``open_ids``; of a template, which says itself whose it is, the
    people are named beside it. A 2.0 card is everybody's, and returned as it is.
    Source: docs/reference/platform.md, "Delayed updates".
    """
    whole = _members(card)
    if whole is None or string(whole.get("schema")) == "2.0":
        return card
    named = {**whole, "open_ids": msgspec.Raw(msgspec.json.encode(list(people)))}
    if string(whole.get("type")) in {"template", "card"}:
        return joined(named)
    config = (members(whole["config"]) if "config" in whole else None) or {}
    exclusive = joined({**config, "update_multi": msgspec.Raw(b"false")})
    return joined({**named, "config": msgspec.Raw(exclusive.encode())})


def _members(card: JsonText) -> Members | None:
    try:
        return members(utf8(card.encode("utf-8", "surrogatepass")))
    except ValueError:
        return None


def _content(card: JsonText) -> Members | None:
    """Return the members of a 1.0 card that is written out, ``None`` of anything else."""
    content = _members(card)
    if content is None or string(content.get("schema")) == "2.0" or string(content.get("type")) in {"template", "card"}:
        return None
    return content
