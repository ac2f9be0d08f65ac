"""Run a handler, and believe nothing that comes back."""

import inspect
import re
import traceback
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from shared.app.deferred import Deferred, check_deferred
from shared.app.handler import Handler
from shared.app.subject import Subject
from shared.app.valid import check_id, check_object, check_receiver, utf8
from shared.core.cards import card_format
from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.effects import (
    Effect,
    RefreshPreview,
    SendCard,
    SendEphemeral,
    SendText,
    StreamText,
    UpdateCard,
    UpdateElement,
)
from shared.core.effects.lacks import Taken, lacks
from shared.core.effects.parts import ELEMENT_ID, ELEMENT_ID_WORDS, STREAMED_CHARS
from shared.core.effects.previews import PREVIEW_PEOPLE
from shared.core.errors import HandlerError
from shared.core.events import EFFECTS_PER_DECISION
from shared.core.json_text import JsonText, json_text, json_value

MAX_BYTES: Final = 256 * 1024
"""What one decision may hold: effects and state together, as UTF-8."""

MAX_EFFECTS: Final = EFFECTS_PER_DECISION - 1
"""How many effects one decision may hold."""

_ELEMENT_ID: Final = re.compile(ELEMENT_ID)
_ENCODER: Final = msgspec.json.Encoder()
_EFFECTS: Final[tuple[type[Any], ...]] = get_args(Effect)


def run(handler: Handler, interaction: Subject, card: Card | None) -> Decision:
    """
    Call a handler and return its decision: a tuple of valid effects, and the new state or `UNCHANGED`.

    Raises:
        HandlerError: It raised (the cause has the traceback), or returned what cannot be decided. The text names
            the handler and what is wrong, never what a person typed.
    """
    returned = _called(handler, interaction, card)
    try:
        return _believed(handler, interaction, returned)
    except (HandlerError, KeyboardInterrupt):
        raise
    except BaseException as error:
        # What was returned may hold itself, or run code of its own wherever it is read.
        raise HandlerError(f"{type(error).__name__} in what {handler.name} returned{place_of(error)}") from error


def _believed(handler: Handler, interaction: Subject, returned: Any) -> Decision:
    """Return what a handler returned with everything of it checked, and no object in it that is not plain."""
    given = _normalized(handler, returned)
    decision = Decision(effects=tuple(given.effects), state=given.state)
    if len(decision.effects) > MAX_EFFECTS:
        raise HandlerError(f"{handler.name} returned {len(decision.effects)} effects: at most {MAX_EFFECTS}")
    _check_aim(handler, interaction, decision)
    effects = tuple(_valid(handler, effect) for effect in decision.effects)
    state = None if decision.state is UNCHANGED else _state_text(handler, decision.state)
    size = sum(len(_ENCODER.encode(effect)) for effect in effects) + len((state or "").encode())
    if size > MAX_BYTES:
        raise HandlerError(f"{handler.name} decided {size} bytes of state and effects: at most {MAX_BYTES}")
    return Decision(effects=effects, state=UNCHANGED if state is None else json_value(state))


def _called(handler: Handler, interaction: Subject, card: Card | None) -> Any:
    try:
        return handler.function(interaction, card)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Not only Exception: a handler that calls exit() must not end the worker.
        raise HandlerError(f"{type(error).__name__} in {handler.name}{place_of(error)}") from error


def place_of(error: BaseException) -> str:
    """Name the line that raised, and nothing of what it said: that may hold what a person typed."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def _normalized(handler: Handler, returned: Any) -> Decision:
    match returned:
        case None:
            return Decision()
        case Decision(effects=list() | tuple()):
            return returned
        case Decision(effects=effects):
            raise _unexpected(handler, "a Decision whose effects are", effects)
        case list() | tuple():
            return Decision(effects=returned)
        case _:
            if inspect.iscoroutine(returned):
                returned.close()
            raise _unexpected(handler, "an object of type", returned)


def _unexpected(handler: Handler, what: str, given: object) -> HandlerError:
    name = type(given).__name__
    return HandlerError(f"{handler.name} returned {what} {name}: expected None, a list of effects or a Decision")


def _check_aim(handler: Handler, interaction: Subject, decision: Decision) -> None:
    if interaction.message_id is not None:
        return
    if decision.state is not UNCHANGED:
        raise HandlerError(f"{handler.name} returned state, but {interaction.kind} is about no card to keep it with")
    for effect in decision.effects:
        for field, what in lacks(effect).items():
            _check_lack(handler, interaction, type(effect).__name__, field, what)


def _check_lack(handler: Handler, interaction: Subject, kind: str, field: str, what: Taken) -> None:
    """Raise `HandlerError` if an effect of an input that is about no card takes from it what it has not."""
    match what:
        case "card":
            raise HandlerError(f"{handler.name} returned {kind}, but {interaction.kind} is about no card")
        case "person" if not _is_somebodys(interaction):
            raise HandlerError(f"{handler.name} returned {kind} without saying to whom: expected {field}='ou_…'")
        case "chat" if interaction.chat_id is None:
            raise HandlerError(
                f"{handler.name} returned {kind} without saying where: {interaction.kind} is about no chat, so "
                f"expected {field}='oc_…'"
            )
        case _:
            return


def _is_somebodys(interaction: Subject) -> bool:
    return bool(interaction.operator.open_id or interaction.operator.user_id)


def _valid(handler: Handler, effect: Effect) -> Effect:
    """Return the effect with its types checked, as text that UTF-8 can carry."""
    if type(effect) not in _EFFECTS:
        names = ", ".join(kind.__name__ for kind in _EFFECTS)
        raise HandlerError(f"{handler.name} returned an effect of type {type(effect).__name__}: expected {names}")
    fields = {key: utf8(given) for key, given in msgspec.structs.asdict(effect).items()}
    try:
        checked = msgspec.convert(fields, type(effect))
        _check(checked)
    except (ValueError, RecursionError) as error:
        # msgspec names the field and the types, the JSON parser the position: neither repeats what was given.
        raise HandlerError(f"{handler.name} returned {type(effect).__name__} with {error}") from error
    return checked


def _check(effect: Effect) -> None:
    """Raise `ValueError` if what the types cannot say of an effect is wrong."""
    if isinstance(effect, Deferred):
        check_deferred(effect)
        return
    card = getattr(effect, "card", None)
    if card is not None:
        check_object(card)
    _check_where(effect)
    if isinstance(effect, UpdateElement | StreamText):
        _check_part(effect)
    if isinstance(effect, UpdateCard) and effect.audience is not None:
        if effect.on_expired != "skip":
            raise ValueError(
                "an audience, and on_expired, which would show the card to everybody: expected one of them"
            )
        check_id(effect.audience, "ou_…")
        if card_format(effect.card) == "2.0":
            raise ValueError("an audience, and a card of JSON 2.0, which is everybody's: expected a card of JSON 1.0")


def _check_where(effect: Effect) -> None:
    """Raise `ValueError` if what an effect acts on cannot be: a database would refuse it with all that is decided."""
    message_id, chat_id = getattr(effect, "message_id", None), getattr(effect, "chat_id", None)
    if message_id is not None:
        check_id(message_id)
    if chat_id is not None:
        check_id(chat_id, "oc_…")
    match effect:
        case SendCard(to=str(to)) | SendText(to=str(to)) | SendEphemeral(to=str(to)):
            check_receiver(to)
        case RefreshPreview(open_ids=open_ids) if len(open_ids) > PREVIEW_PEOPLE:
            raise ValueError(f"{len(open_ids)} open_ids: expected at most {PREVIEW_PEOPLE}, or none, for everybody")
        case RefreshPreview(open_ids=open_ids):
            for open_id in open_ids:
                check_id(open_id, "ou_…")
        case _:
            return


def _check_part(effect: UpdateElement | StreamText) -> None:
    if not _ELEMENT_ID.fullmatch(effect.element_id):
        raise ValueError(f"an element_id that is none: expected {ELEMENT_ID_WORDS}")
    if isinstance(effect, UpdateElement):
        check_object(effect.element, "an element", '{"tag": "markdown", "content": "…"}')
    elif not 1 <= len(effect.text) <= STREAMED_CHARS:
        raise ValueError(f"a text of {len(effect.text)} characters: expected 1 to {STREAMED_CHARS}")


def _state_text(handler: Handler, state: Any) -> JsonText:
    try:
        return json_text(state)
    except (ValueError, RecursionError) as error:
        raise HandlerError(f"{handler.name} returned state that is not JSON: {type(error).__name__}") from error
