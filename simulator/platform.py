"""
The platform's state, and what people do in it: they click, recall, dissolve.

What programs do in it stands in `simulator.openapi`. Nothing here waits, reads a clock of its own or knows HTTP.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from shared.core.ids import ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import EpochMs
from shared.feishu.limits import Limits
from simulator.answers import CONNECT_FAILED, CallbackStyle, Heard, NotAnswered, Reaction, react
from simulator.callbacks import Click, Person
from simulator.cards import CardRead, is_interactive, is_updatable, read_card
from simulator.chats import BotRole, Chat, EditPermission, NameGiven
from simulator.clock import PlatformClock
from simulator.entities import Entity
from simulator.history import History
from simulator.judge import Judge
from simulator.limits import MINUTE_MS, SECOND_MS, Windows
from simulator.messages import Message, Reply, Version
from simulator.names import Names
from simulator.people import People
from simulator.previews import Preview
from simulator.tokens import AccessTokens, App, CardToken

MAX_CARD_TOKENS: Final = 50_000


class UnknownThing(LookupError):
    """There is no such chat, message or click here; the text says which."""


class Expired(Exception):
    """The card is too old to be clicked: the client says so and asks nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppTicket:
    """A ticket that is to be pushed to a store app."""

    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewPull:
    """Somebody's client that is to ask for a link's preview again."""

    preview: Preview
    person: OpenId


class Platform:
    """
    Chats, messages, cards, tokens and counters of one app, in the organisations that have it.

    Attributes:
        owed: What calls made the platform promise: it is sent soon after their answers.
        limits: How often may be called; assign others to change them.
        judge: Which rules were broken.
        history: Every call and every click, in order.
    """

    def __init__(self, app: App, clock: PlatformClock, names: Names, limits: Limits) -> None:
        self.app = app
        self.clock = clock
        self.names = names
        self.limits = limits
        self.judge = Judge()
        self.history = History()
        self.access_tokens = AccessTokens(app, names)
        self.chats: dict[ChatId, Chat] = {}
        self.messages: dict[MessageId, Message] = {}
        self.card_tokens: OrderedDict[str, CardToken] = OrderedDict()
        self.sent_uuids: dict[tuple[str, str], MessageId] = {}
        self.entities: dict[str, Entity] = {}
        self.previews: dict[str, Preview] = {}
        self.people = People()
        self.owed: deque[AppTicket | PreviewPull] = deque()
        self.by_second = Windows(SECOND_MS)
        self.by_minute = Windows(MINUTE_MS)
        self._persons: dict[tuple[TenantKey, str], ChatId] = {}
        self._links: dict[tuple[MessageId, str], Preview] = {}

    # What people and tests do.

    def new_chat(
        self,
        name: str,
        *,
        edit_permission: EditPermission = "all_members",
        bot: BotRole = "member",
        tenant_key: TenantKey | None = None,
    ) -> Chat:
        """Return a new group with our bot in it, in the app's own organisation or in one that has it from the store."""
        chat = Chat(
            chat_id=self.names.chat(), tenant_key=tenant_key or self.app.tenant_key, edit_permission=edit_permission,
            bot=bot,
        )  # fmt: skip
        chat.names.append(NameGiven(at_ms=self.clock.now(), name=name))
        self.chats[chat.chat_id] = chat
        return chat

    def chat(self, chat_id: str) -> Chat:
        """
        Return a chat.

        Raises:
            UnknownThing: There is none.
        """
        chat = self.chats.get(ChatId(chat_id))
        if chat is None:
            raise UnknownThing(f"chat {chat_id}")
        return chat

    def tenants(self) -> set[TenantKey]:
        """Return the organisations that have the app: its own, and those that have a chat here."""
        return {self.app.tenant_key, *(chat.tenant_key for chat in self.chats.values())}

    def chat_with(self, person: str, tenant_key: TenantKey | None = None) -> Chat:
        """Return the two-person chat of the bot with somebody, opened at the first message to them."""
        whose = tenant_key or self.app.tenant_key
        chat_id = self._persons.get((whose, person))
        if chat_id is None:
            chat = Chat(chat_id=self.names.chat(), tenant_key=whose, mode="p2p", person=person)
            self.chats[chat.chat_id] = chat
            self._persons[whose, person] = chat_id = chat.chat_id
        return self.chats[chat_id]

    def preview(self, message: Message, url: str) -> Preview:
        """Return a link in a message, by the same token whenever it is asked for."""
        preview = self._links.get((message.message_id, url))
        if preview is None:
            token = self.names.preview_token()
            preview = Preview(token=token, url=url, message_id=message.message_id, chat_id=message.chat_id)
            self._links[message.message_id, url] = self.previews[token] = preview
        return preview

    def message(self, message_id: str) -> Message:
        """
        Return a message.

        Raises:
            UnknownThing: There is none.
        """
        message = self.messages.get(MessageId(message_id))
        if message is None:
            raise UnknownThing(f"message {message_id}")
        return message

    def put(
        self,
        chat: Chat,
        *,
        msg_type: str,
        content: str,
        card: CardRead | None,
        uuid: str | None = None,
        sent_at: EpochMs | None = None,
        reply: Reply | None = None,
        only_for: OpenId | None = None,
    ) -> Message:
        """Put a message of our app's into a chat, for all or for one person; ``sent_at`` may lie in the past."""
        now = self.clock.now() if sent_at is None else sent_at
        message = Message(
            message_id=self.names.message(), chat_id=chat.chat_id, msg_type=msg_type, content=content,
            sent_at=now, updated_at=now, uuid=uuid, reply=reply, only_for=only_for,
        )  # fmt: skip
        if card is not None and only_for is not None:
            message.show_to(only_for, card, by="sent", now=now)
        elif card is not None:
            message.card = card
            message.versions.append(Version(at_ms=now, by="sent", card=card.text))
        self.messages[message.message_id] = message
        chat.message_ids.append(message.message_id)
        return message

    def put_card(self, chat_id: str, text: str, *, sent_at: EpochMs | None = None) -> Message:
        """
        Put a card into a chat that a program of our app other than the one under test has sent, taken as it is.

        Raises:
            UnknownThing: There is no such chat.
            Refused: That is not a card.
        """
        chat = self.chat(chat_id)
        return self.put(chat, msg_type="interactive", content=text, card=read_card(text), sent_at=sent_at)

    # Clicks.

    def open_click(self, message_id: str, *, operator: Person, action: bytes, style: CallbackStyle) -> Click:
        """
        Let somebody click a card; from now on its answer is awaited.

        Raises:
            UnknownThing: No such message, or it is not a card, or it was recalled.
            Expired: The card is too old for that.
        """
        now = self.clock.now()
        message = self.message(message_id)
        card = message.seen_by(operator.open_id)
        if card is None or message.is_recalled:
            raise UnknownThing(f"card in message {message_id}")
        if not is_interactive(message.sent_at, card.format, now):
            raise Expired
        tenant_key = self.chats[message.chat_id].tenant_key
        self.people.learn(operator, tenant_key)
        click = Click(
            event_id=self.names.event(), message_id=message.message_id, chat_id=message.chat_id,
            tenant_key=tenant_key, operator=operator, style=style, action=action,
            card_token=self.names.card_token(), created_us=now * 1000,
        )  # fmt: skip
        self._keep_token(click, now=now)
        return click

    def await_answer(self, click: Click, event_id: EventId) -> None:
        """
        Note that its bytes are under way: an update that comes before the answer comes too early.

        Args:
            click: The click.
            event_id: What the receiver knows it by. When the bytes of a click that was answered, or given up after
                they may have arrived, are delivered again, no update is too early any more.
        """
        token = self.card_tokens.get(click.card_token)
        if token is not None and not token.is_answered:
            self.messages[click.message_id].open_clicks.add(event_id)

    def close_click(self, click: Click, event_id: EventId, heard: Heard) -> Reaction:
        """Let the person's client see what came back, and change the card if the answer holds one."""
        now = self.clock.now()
        message = self.messages[click.message_id]
        message.close_click(event_id, now=now)
        token = self.card_tokens.get(click.card_token)
        if token is not None and heard != NotAnswered(code=CONNECT_FAILED):
            token.is_answered = True
        shown = message.seen_by(click.operator.open_id)
        shown_format = shown.format if shown is not None else "1.0"
        reaction = react(heard, style=click.style, shown=shown_format)
        # After 14 days a 1.0 card still reports clicks, but an answer that would change it has no effect.
        can_change = is_updatable(message.sent_at, shown_format, now) and not self._is_streaming(message, now)
        if reaction.card is not None and can_change:
            if reaction.card.shared:
                message.show(reaction.card, by="answer", now=now)
            else:
                message.show_to(click.operator.open_id, reaction.card, by="answer", now=now)
        return reaction

    def _is_streaming(self, message: Message, now: EpochMs) -> bool:
        """Return whether text is being streamed into it: an answer cannot change such a card."""
        return message.entity is not None and message.entity.is_streaming(now)

    def _keep_token(self, click: Click, *, now: EpochMs) -> None:
        self.card_tokens[click.card_token] = CardToken(
            event_id=click.event_id, message_id=click.message_id, operator=click.operator.open_id, issued_at=now
        )
        if len(self.card_tokens) > MAX_CARD_TOKENS:
            self.card_tokens.popitem(last=False)
