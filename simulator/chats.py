"""
Chats: their names and what else can be changed about them, and by whom.

Source: docs/reference/platform.md, "Update a chat".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from shared.core.ids import ChatId, MessageId, TenantKey
from shared.core.json_text import EpochMs
from simulator.refusals import Refused

EditPermission = Literal["all_members", "only_owner"]
BotRole = Literal["member", "manager", "owner"]

_TEXTS: Final = frozenset({"name", "description", "avatar"})
_OF_EVERYBODY: Final = _TEXTS | {"i18n_names"}
"""What members may change who are neither owner nor manager, where the chat lets them."""

_WHO: Final = frozenset({"only_owner", "all_members"})
_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "add_member_permission": _WHO,
    "share_card_permission": frozenset({"allowed", "not_allowed"}),
    "at_all_permission": _WHO,
    "edit_permission": _WHO,
    "join_message_visibility": _WHO | {"not_anyone"},
    "leave_message_visibility": _WHO | {"not_anyone"},
    "membership_approval": frozenset({"no_approval_required", "approval_required"}),
    "chat_type": frozenset({"private", "public"}),
    "group_message_type": frozenset({"chat", "thread"}),
    "urgent_setting": _WHO,
    "video_conference_setting": _WHO,
    "hide_member_count_setting": _WHO,
}
_I18N: Final = frozenset({"zh_cn", "en_us", "ja_jp"})
_SHORTEST_PUBLIC_NAME: Final = 2


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
        tenant_key: The organisation that it is in.
        person: With whom, if it is a two-person chat.
        edit_permission: With ``only_owner`` only owner and managers may change the chat.
        bot: What our bot is in it.
        names: Every name it had, oldest first.
        profile: What else is known about it, by the API's names.
    """

    chat_id: ChatId
    tenant_key: TenantKey
    mode: Literal["group", "p2p"] = "group"
    person: str | None = None
    edit_permission: EditPermission = "all_members"
    bot: BotRole = "member"
    is_dissolved: bool = False
    names: list[NameGiven] = field(default_factory=list)
    profile: dict[str, Any] = field(default_factory=dict)
    message_ids: list[MessageId] = field(default_factory=list)

    @property
    def name(self) -> str | None:
        """What it is called now; ``None`` for a chat that was never named."""
        return self.names[-1].name if self.names else None

    def change(self, asked: Mapping[str, Any], *, now: EpochMs) -> None:
        """
        Change what is named; what is not known here is accepted and forgotten.

        Raises:
            Refused: 232009 dissolved; 232008 not a group; 232001 a value that is none; 232002 only owner and managers
                may; 232016 only they may change this.
        """
        if self.is_dissolved:
            raise Refused(232009)
        if self.mode != "group":
            raise Refused(232008)
        self._check(asked)
        if self.bot == "member" and self.edit_permission == "only_owner":
            raise Refused(232002)
        if self.bot == "member" and not asked.keys() <= _OF_EVERYBODY:
            raise Refused(232016)
        for key, value in asked.items():
            match key:
                case "name":
                    self.names.append(NameGiven(at_ms=now, name=value))
                case "edit_permission":
                    self.edit_permission = value
                case "i18n_names":
                    self.profile[key] = {**self.profile.get(key, {}), **value}
                case _ if key in _TEXTS | _CHOICES.keys() | {"owner_id", "restricted_mode_setting"}:
                    self.profile[key] = value

    def _check(self, asked: Mapping[str, Any]) -> None:
        i18n_names = asked.get("i18n_names", {})
        is_public = asked.get("chat_type", self.profile.get("chat_type")) == "public"
        name = asked.get("name", self.name or "unnamed")
        is_right = (
            all(isinstance(asked[key], str) for key in _TEXTS & asked.keys())
            and all(asked[key] in _CHOICES[key] for key in _CHOICES.keys() & asked.keys())
            and bool(name)
            and (not is_public or len(str(name)) >= _SHORTEST_PUBLIC_NAME)
            and isinstance(i18n_names, dict)
            and i18n_names.keys() <= _I18N
            and all(isinstance(text, str) for text in i18n_names.values())
            and self._may_add_and_share(asked)
        )
        if not is_right or not asked:
            raise Refused(232001)

    def _may_add_and_share(self, asked: Mapping[str, Any]) -> bool:
        # The two are set together, and agree.
        pair = (asked.get("add_member_permission"), asked.get("share_card_permission"))
        return pair in {(None, None), ("only_owner", "not_allowed"), ("all_members", "allowed")}
