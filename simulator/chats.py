"""Chats: their names, and who may change them."""

from dataclasses import dataclass, field
from typing import Literal

from shared.core.ids import ChatId, MessageId
from shared.core.json_text import EpochMs
from simulator.refusals import Refused

EditPermission = Literal["all_members", "only_owner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameGiven:
    """A name that a chat has had since a time."""

    at_ms: EpochMs
    name: str


@dataclass(slots=True, kw_only=True)
class Chat:
    """
    A group, or the two-person chat that a message to a person opens.

    Attributes:
        edit_permission: With ``only_owner`` our bot, which is neither owner nor manager, may not rename the chat.
        names: Every name it had, oldest first.
    """

    chat_id: ChatId
    mode: Literal["group", "p2p"] = "group"
    edit_permission: EditPermission = "all_members"
    is_dissolved: bool = False
    names: list[NameGiven] = field(default_factory=list)
    message_ids: list[MessageId] = field(default_factory=list)

    @property
    def name(self) -> str | None:
        """What it is called now; ``None`` for a chat that was never named."""
        return self.names[-1].name if self.names else None

    def rename(self, name: object, *, now: EpochMs) -> None:
        """
        Give the chat another name.

        Raises:
            Refused: 232009 dissolved; 232001 not a group, or no name; 232002 only its owner may.
        """
        if self.is_dissolved:
            raise Refused(232009)
        if self.mode != "group" or not isinstance(name, str) or not name:
            raise Refused(232001)
        if self.edit_permission == "only_owner":
            raise Refused(232002)
        self.names.append(NameGiven(at_ms=now, name=name))
