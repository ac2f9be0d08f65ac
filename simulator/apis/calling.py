"""One call while it is carried out: who calls, about what, and what it is counted towards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.core.ids import AppId, ChatId, MessageId, TenantKey
from shared.core.json_text import EpochMs
from simulator.chats import Chat
from simulator.judge import Rule
from simulator.messages import Message
from simulator.platform import Platform
from simulator.refusals import FREQUENCY_LIMIT, TARGET_FREQUENCY_LIMIT, Refused

NO_TENANT: Final = TenantKey("")


@dataclass(slots=True, kw_only=True)
class Calling:
    """
    The facts of one call, completed as it is understood.

    Attributes:
        now: The platform's time (ms).
        api: Its name.
        inside: What its path holds, by the documents' names (``message_id``).
        target: The message, chat, card or receiver it is about.
        tenant_key: The organisation whose token it carries; empty: it carries none.
        is_counted: False for a call that the network doubled.
    """

    platform: Platform
    query: Mapping[str, str]
    now: EpochMs
    api: str
    inside: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    app_id: AppId | None = None
    tenant_key: TenantKey = NO_TENANT
    body: Mapping[str, Any] = field(default_factory=dict)
    is_counted: bool = True

    def count(self, rule: Rule, quota: float, key: str, *, code: int = TARGET_FREQUENCY_LIMIT) -> None:
        """Count this call towards a limit of one target; beyond it, refuse with this code."""
        wall = self.platform.clock.wall()
        exceeded = self.platform.by_second.count((rule, key), quota, now=wall) if self.is_counted else None
        if exceeded is not None:
            self.note(rule)
            # Only with the general code, by its document, does the answer say when to come back.
            is_general = code == FREQUENCY_LIMIT
            raise Refused(code, wait_s=exceeded.wait_s if is_general else None, quota=exceeded.quota)

    def note(self, rule: Rule) -> None:
        """Let the judge note that this call broke a rule."""
        if self.is_counted:
            self.platform.judge.note(rule, api=self.api, target=self.target, now=self.now)

    def message(self) -> Message:
        """
        Return the message that the path names.

        Raises:
            Refused: 230001 there is none; 230027 it is another tenant's.
        """
        message = self.platform.messages.get(MessageId(self.inside["message_id"]))
        if message is None:
            raise Refused(230001, "invalid message_id")
        if self.platform.chats[message.chat_id].tenant_key != self.tenant_key:
            raise Refused(230027)
        return message

    def chat(self) -> Chat:
        """
        Return the chat that the path names.

        Raises:
            Refused: 232006 there is none; 232010 it is another tenant's.
        """
        chat = self.platform.chats.get(ChatId(self.inside["chat_id"]))
        if chat is None:
            raise Refused(232006)
        if chat.tenant_key != self.tenant_key:
            raise Refused(232010)
        return chat


def done(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the body of a success."""
    return {"code": 0, "msg": "success", "data": data}
