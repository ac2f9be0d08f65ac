"""Effects on a chat."""

from typing import TYPE_CHECKING, Literal

import msgspec

from shared.core.ids import ChatId


class RenameChat(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="RenameChat"):
    """
    Give a chat another name.

    Attributes:
        name: The new name (the platform suggests at most 60 characters).
        chat_id: Which chat; without it, the one that the card was clicked in.
    """

    name: str
    chat_id: ChatId | None = None


ChatLanguage = Literal["zh_cn", "en_us", "ja_jp"]
"""Languages that a chat's name can be given in (docs/reference/platform.md, "Update a chat")."""


class UpdateChat(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="UpdateChat"):
    """
    Change what is given of a chat and leave the rest as it is.

    Several updates of one chat are all made, in the order of their decisions; those that name it and nothing else
    become the newest one, as with `RenameChat`.

    Attributes:
        name: The new name (the platform suggests at most 60 characters).
        description: What the chat is for.
        avatar: Key of an uploaded image.
        i18n_names: The name in other languages.
        chat_id: Which chat; without it, the one that the card was clicked in.
    """

    name: str | None = None
    description: str | None = None
    avatar: str | None = None
    i18n_names: dict[ChatLanguage, str] | None = None
    chat_id: ChatId | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str | None = None,
            description: str | None = None,
            avatar: str | None = None,
            i18n_names: dict[ChatLanguage, str] | None = None,
            chat_id: str | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.name is None and self.description is None and self.avatar is None and not self.i18n_names:
            raise ValueError("UpdateChat changes nothing: expected name, description, avatar or i18n_names")

    @property
    def names_only(self) -> bool:
        """Whether the chat's name is all that it changes."""
        return self.name is not None and self.description is None and self.avatar is None and not self.i18n_names
