"""
What a person's client makes of the answer to a callback: a toast, another card, or an error code.

Source: docs/reference/platform.md, "Answers to callbacks" and "Client errors".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from shared.core.cards import CardFormat
from simulator.cards import CardRead, read_card_value
from simulator.refusals import Refused
from simulator.wire_json import any_json

CallbackStyle = Literal["new", "legacy"]

NO_CALLBACK_URL: Final = 200340
NO_ANSWER_IN_TIME: Final = 200341
CONNECT_FAILED: Final = 200342
NAME_UNKNOWN: Final = 200343
CALL_FAILED: Final = 200080
STATUS_NOT_200: Final = 200671
WRONG_SHAPE: Final = 200672
WRONG_CARD: Final = 200673
CARD_1_0_FOR_2_0: Final = 200830

TOAST_TYPES: Final = frozenset({"info", "success", "error", "warning"})
_LEGACY_CARD_KEYS: Final = frozenset({"config", "header", "elements", "i18n_elements", "card_link"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The receiver answered."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnswered:
    """It did not; `code` is what the client shows."""

    code: int


Heard = Answered | NotAnswered
"""What came back from one delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """
    What the client does.

    Attributes:
        client_error: The code it shows; ``None``: all is well.
        toast: The toast it shows, as answered.
        line: What it shows a link as, as answered.
        card: The card it puts in place of the clicked one.
    """

    client_error: int | None = None
    toast: Mapping[str, Any] | None = None
    line: Mapping[str, Any] | None = None
    card: CardRead | None = None


class _Unusable(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


def react(heard: Heard, *, style: CallbackStyle, shown: CardFormat) -> Reaction:
    """
    Return what the client does with what came back.

    Args:
        style: Of the callback: the two styles put the card in different places.
        shown: Format of the card that was clicked; a 2.0 card cannot become a 1.0 card.
    """
    match heard:
        case NotAnswered(code=code):
            return Reaction(client_error=code)
        case Answered(status=200, body=body):
            try:
                return _read(body, style=style, shown=shown)
            except _Unusable as unusable:
                return Reaction(client_error=unusable.code)
        case Answered():
            return Reaction(client_error=STATUS_NOT_200)
        case other:
            assert_never(other)


def react_to_event(heard: Heard) -> Reaction:
    """Return what the platform makes of the answer to a subscribed event: anything with status 200 will do."""
    match heard:
        case NotAnswered(code=code):
            return Reaction(client_error=code)
        case Answered(status=status):
            return Reaction(client_error=None if status == 200 else STATUS_NOT_200)  # noqa: PLR2004 - HTTP's own
        case other:
            assert_never(other)


def react_to_preview(heard: Heard) -> Reaction:
    """Return what the client makes of the answer to a link preview."""
    reaction = react_to_event(heard)
    if reaction.client_error is not None or not isinstance(heard, Answered):
        return reaction
    try:
        content = _object(heard.body)
        return Reaction(line=_line(content.get("inline")), card=_card(content.get("card")))
    except _Unusable as unusable:
        return Reaction(client_error=unusable.code)


def is_challenge_met(heard: Heard, challenge: str) -> bool:
    """Return whether the receiver proved that the address is its own."""
    if not isinstance(heard, Answered) or heard.status != 200:  # noqa: PLR2004 - HTTP's own
        return False
    try:
        return bool(_object(heard.body).get("challenge") == challenge)
    except _Unusable:
        return False


def _read(body: bytes, *, style: CallbackStyle, shown: CardFormat) -> Reaction:
    if style == "legacy" and not body:
        return Reaction()
    content = _object(body)
    toast = _toast(content.get("toast"))
    card = _legacy_card(content) if style == "legacy" else _card(content.get("card"))
    if card is not None and shown == "2.0" and card.format == "1.0":
        raise _Unusable(CARD_1_0_FOR_2_0)
    return Reaction(toast=toast, card=card)


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = any_json(body)
    except ValueError as error:
        raise _Unusable(WRONG_SHAPE) from error
    if not isinstance(content, dict):
        raise _Unusable(WRONG_SHAPE)
    return content


def _toast(toast: object) -> Mapping[str, Any] | None:
    if toast is None:
        return None
    if not isinstance(toast, dict) or toast.get("type", "info") not in TOAST_TYPES:
        raise _Unusable(WRONG_SHAPE)
    texts = [toast.get("content", ""), *(toast.get("i18n") or {}).values()]
    if not all(isinstance(text, str) for text in texts):
        raise _Unusable(WRONG_SHAPE)
    return toast


def _line(inline: object) -> Mapping[str, Any] | None:
    if inline is None:
        return None
    if not isinstance(inline, dict):
        raise _Unusable(WRONG_SHAPE)
    texts = [inline.get("title"), inline.get("image_key")]
    for named in (inline.get("i18n_title"), inline.get("url")):
        if not isinstance(named, dict | None):
            raise _Unusable(WRONG_SHAPE)
        texts += [*(named or {}).values()]
    if not all(isinstance(text, str | None) for text in texts):
        raise _Unusable(WRONG_SHAPE)
    return inline


def _card(card: object) -> CardRead | None:
    if card is None:
        return None
    if not isinstance(card, dict) or card.get("type") not in {"raw", "template"}:
        raise _Unusable(WRONG_SHAPE)
    return _usable(card if card["type"] == "template" else card.get("data"))


def _legacy_card(content: dict[str, Any]) -> CardRead | None:
    if content.get("type") == "template":
        return _usable({"type": "template", "data": content.get("data")})
    if not content.keys() & _LEGACY_CARD_KEYS:
        return None
    return _usable({key: value for key, value in content.items() if key != "toast"})


def _usable(card: object) -> CardRead:
    try:
        return read_card_value(card)
    except (Refused, ValueError) as error:
        raise _Unusable(WRONG_CARD) from error
