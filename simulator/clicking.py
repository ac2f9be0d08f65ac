"""
Clicks: what people do to cards, and what their clients see of the answers.

Nothing here waits or knows HTTP. Sources: docs/reference/platform.md, "Card callbacks", "Card update tokens" and
"Validity".
"""

from typing import Final

from shared.core.ids import EventId
from shared.core.json_text import EpochMs
from simulator.answers import CONNECT_FAILED, CallbackStyle, Heard, NotAnswered, Reaction, react
from simulator.callbacks import Click, Person
from simulator.cards import is_interactive, is_updatable
from simulator.messages import Message
from simulator.platform import Platform, UnknownThing
from simulator.tokens import CardToken

MAX_CARD_TOKENS: Final = 50_000


class Expired(Exception):
    """The card is too old to be clicked: the client says so and asks nobody."""


def open_click(platform: Platform, message_id: str, *, operator: Person, action: bytes, style: CallbackStyle) -> Click:
    """
    Let somebody click a card; from now on its answer is awaited.

    Raises:
        UnknownThing: No such message, or it is not a card, or it was recalled.
        Expired: The card is too old for that.
    """
    now = platform.clock.now()
    message = platform.message(message_id)
    card = message.seen_by(operator.open_id)
    if card is None or message.is_recalled:
        raise UnknownThing(f"card in message {message_id}")
    if not is_interactive(message.sent_at, card.format, now):
        raise Expired
    tenant_key = platform.chats[message.chat_id].tenant_key
    platform.people.learn(operator, tenant_key)
    click = Click(
        event_id=platform.names.event(), message_id=message.message_id, chat_id=message.chat_id,
        tenant_key=tenant_key, operator=operator, style=style, action=action,
        card_token=platform.names.card_token(), created_us=now * 1000,
    )  # fmt: skip
    _keep_token(platform, click, now=now)
    return click


def await_answer(platform: Platform, click: Click, event_id: EventId) -> None:
    """
    Note that its bytes are under way: an update that comes before the answer comes too early.

    Args:
        click: The click.
        event_id: What the receiver knows it by. When the bytes of a click that was answered, or given up after
            they may have arrived, are delivered again, no update is too early any more.
    """
    token = platform.card_tokens.get(click.card_token)
    if token is not None and not token.is_answered:
        platform.messages[click.message_id].open_clicks.add(event_id)


def close_click(platform: Platform, click: Click, event_id: EventId, heard: Heard) -> Reaction:
    """Let the person's client see what came back, and change the card if the answer holds one."""
    now = platform.clock.now()
    message = platform.messages[click.message_id]
    message.close_click(event_id, now=now)
    token = platform.card_tokens.get(click.card_token)
    if token is not None and heard != NotAnswered(code=CONNECT_FAILED):
        token.is_answered = True
    shown = message.seen_by(click.operator.open_id)
    shown_format = shown.format if shown is not None else "1.0"
    reaction = react(heard, style=click.style, shown=shown_format)
    # After 14 days a 1.0 card still reports clicks, but an answer that would change it has no effect.
    can_change = is_updatable(message.sent_at, shown_format, now) and not _is_streaming(message, now)
    if reaction.card is not None and can_change:
        if reaction.card.shared:
            message.show(reaction.card, by="answer", now=now)
        else:
            message.show_to(click.operator.open_id, reaction.card, by="answer", now=now)
    return reaction


def _is_streaming(message: Message, now: EpochMs) -> bool:
    """Return whether text is being streamed into it: an answer cannot change such a card."""
    return message.entity is not None and message.entity.is_streaming(now)


def _keep_token(platform: Platform, click: Click, *, now: EpochMs) -> None:
    platform.card_tokens[click.card_token] = CardToken(
        event_id=click.event_id, message_id=click.message_id, operator=click.operator.open_id, issued_at=now
    )
    if len(platform.card_tokens) > MAX_CARD_TOKENS:
        platform.card_tokens.popitem(last=False)
