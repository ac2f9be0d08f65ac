"""
The platform's state, and what people do in it: they click, recall, dissolve.

What programs do in it stands in `simulator.openapi`. Nothing here waits, reads a clock of its own or knows HTTP.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from shared.core.ids import ChatId, MessageId, OpenId, TenantKey
from shared.core.json_text import EpochMs
from shared.feishu.limits import Limits
from simulator.cards import CardRead, read_card
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


class UnknownThing(LookupError):
    """There is no such chat, message or click here; the text says which."""


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

    def card_of(self, entity: Entity) -> CardRead:
        """Return what a card entity is now: once it is sent, its message's card."""
        shown = self.messages[entity.message_id].card if entity.message_id is not None else None
        return shown if shown is not None else entity.card

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
