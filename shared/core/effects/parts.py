"""Effects on a part of a card of JSON 2.0: an element, its text, whether text is streamed."""

from typing import TYPE_CHECKING, Final

import msgspec

from shared.core.effects.cards import CardLike, card_text
from shared.core.ids import MessageId
from shared.core.json_text import JsonText

STREAMED_CHARS: Final = 100_000
"""How long a streamed text may be: docs/reference/platform.md, "Cards as entities"."""

ELEMENT_ID_CHARS: Final = 20
"""How long an element's id may be. Source: as above."""

ELEMENT_ID: Final = rf"[A-Za-z][A-Za-z0-9_]{{0,{ELEMENT_ID_CHARS - 1}}}"
"""What an element's id looks like, as a regular expression. Source: as above."""

ELEMENT_ID_WORDS: Final = f"at most {ELEMENT_ID_CHARS} letters, digits and _, a letter first"
"""The same in words."""


class UpdateElement(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="UpdateElement"):
    """
    Put another element in the place of one, and leave the rest of the card as it is: of a card of JSON 2.0.

    Of several that wait for one element the newest is made; a later `UpdateCard` takes the place of all of them.

    Attributes:
        element_id: As the card's JSON names it: at most 20 letters, digits and underscores, a letter first.
        element: The new element's JSON.
        message_id: Which card, ``om_…``; without it, the one that was clicked. Another card takes it in its turn.
    """

    element_id: str
    element: JsonText
    message_id: MessageId | None = None

    if TYPE_CHECKING:

        def __init__(self, element_id: str, element: CardLike, message_id: str | None = None) -> None: ...

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "element", card_text(self.element))


class StreamText(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="StreamText"):
    """
    Let an element of a card of JSON 2.0 show this text, letter by letter, while the card is streaming.

    Of several that wait for one element the newest is made, so each says the whole text. Where the new text begins with
    the old one, clients type the rest; else they show it anew.

    Attributes:
        element_id: A text or markdown element: see `UpdateElement`.
        text: The whole text, 1 to 100,000 characters.
        message_id: As for `UpdateElement`.
    """

    element_id: str
    text: str
    message_id: MessageId | None = None


class SetStreaming(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="SetStreaming"):
    """
    Switch the streaming of texts on or off, of a card of JSON 2.0.

    The platform switches it off by itself 10 minutes after it was last put on.
    While it is on, an answer to a click cannot change the card.

    Attributes:
        on: Whether texts are streamed from now on.
        message_id: As for `UpdateElement`.
    """

    on: bool
    message_id: MessageId | None = None

    if TYPE_CHECKING:

        def __init__(self, on: bool, message_id: str | None = None) -> None: ...  # noqa: FBT001 - a Struct's member


PartOfCard = UpdateElement | StreamText | SetStreaming
"""What changes a card in part."""
