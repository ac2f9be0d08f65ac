"""
What a callback is answered, in the form of its kind. Source: docs/reference/platform.md, "Answers to callbacks".

Answers are built from values, so a wrong shape (the client would show an error code) never leaves.
"""

from typing import Final, assert_never

import msgspec

from shared.core.answers import Inline
from shared.core.cards import Toast, card_format
from shared.core.events import CARD_ACTIONS, Answer, InteractionKind
from shared.core.json_text import JsonText
from shared.feishu.cards import everybodys
from shared.feishu.members import Members, joined, members, repaired, string, utf8

NOTHING: Final = b"{}"
"""Leave everything as it is. An empty body would do for legacy callbacks only."""

_NOT_RECORDED: Final = Answer(
    rule="not_recorded",
    toast=Toast(
        type="error",
        content="操作可能未被记录，请稍后确认或重试",
        i18n={
            "zh_cn": "操作可能未被记录，请稍后确认或重试",
            "en_us": "Your action may not have been recorded. Please check, or try again.",
            "ja_jp": "操作が記録されていない可能性があります。確認のうえ、もう一度お試しください。",
        },
    ),
)


def render(answer: Answer, kind: InteractionKind) -> bytes:
    """
    Return the response body for a callback of this kind; always a JSON object, sent with the status of `status_of`.

    A new-style callback takes ``{"toast", "card": {"type", "data"}}``, a legacy one the card's own members beside
    ``toast``, a link preview ``{"inline", "card"}``, an event nothing. A 1.0 card that does not say who sees it is
    shown to everybody, as every card that we send; one that is no JSON object, or that the callback has no place for
    (see `fits_in`), is left out. A custom answer is given to whoever waits for one, as it is.
    """
    if answer.custom is not None and kind != "event":
        return _body(_card_members(answer.custom.body))
    match kind:
        case "card_action":
            return _body(_toast(answer.toast) | _wrapped(_shared(answer.card)))
        case "card_action_v1":
            return _body(
                _card_members(_shared(answer.card) if fits_in(answer.card, kind) else None) | _toast(answer.toast)
            )
        case "link_preview":
            return _body(_inline(answer.inline) | _wrapped(answer.card))
        case "event":
            return NOTHING
        case _ as unreachable:
            assert_never(unreachable)


def fits_in(card: JsonText | None, kind: InteractionKind) -> bool:
    """
    Say whether a click's answer has a place for this card.

    The legacy answer is a 1.0 card's members; no document knows of a 2.0 card there.
    """
    return card is not None and kind in CARD_ACTIONS and (kind == "card_action" or card_format(card) == "1.0")


def status_of(answer: Answer, kind: InteractionKind) -> int:
    """Return the HTTP status that an answer is sent with: 200, unless its author wants another."""
    return answer.custom.status if answer.custom is not None and kind != "event" else 200


def challenge(challenge: str) -> bytes:
    """Return the response body that proves to the console that this URL is ours."""
    return _body({"challenge": _raw(repaired(challenge))})


def not_recorded() -> Answer:
    """Return the answer for a click that could not be written to the log: it may or may not have been recorded."""
    return _NOT_RECORDED


def _toast(toast: Toast | None) -> Members:
    if toast is None:
        return {}
    shown: dict[str, object] = {"type": toast.type, "content": repaired(toast.content)}
    if toast.i18n:
        shown["i18n"] = {language: repaired(text) for language, text in toast.i18n.items()}
    return {"toast": _raw(shown)}


def _inline(inline: Inline | None) -> Members:
    if inline is None:
        return {}
    shown: dict[str, object] = {
        "i18n_title": {language: repaired(text) for language, text in inline.i18n_title.items()}
    }
    shown |= {"title": _repaired(inline.title), "image_key": _repaired(inline.image_key)}
    urls = {} if inline.url is None else msgspec.structs.asdict(inline.url)
    shown["url"] = {name: repaired(url) for name, url in urls.items() if url is not None}
    return {"inline": _raw({name: part for name, part in shown.items() if part})}


def _repaired(text: str | None) -> str | None:
    return None if text is None else repaired(text)


def _shared(card: JsonText | None) -> JsonText | None:
    return everybodys(card) if card is not None and _card_members(card) else None


def _wrapped(card: JsonText | None) -> Members:
    content = _card_members(card)
    if not content:
        return {}
    data = msgspec.Raw(_body(content))
    is_template = string(content.get("type")) == "template"
    return {"card": data if is_template else _raw({"type": "raw", "data": data})}


def _card_members(card: JsonText | None) -> Members:
    try:
        return {} if card is None else members(utf8(card.encode("utf-8", "surrogatepass"))) or {}
    except ValueError:
        return {}


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _body(content: Members) -> bytes:
    return joined(content).encode()
