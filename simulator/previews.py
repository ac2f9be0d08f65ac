"""Link previews in messages: who asked for them, and what they were shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.ids import ChatId, MessageId, OpenId
from shared.core.json_text import EpochMs
from simulator.answers import Reaction
from simulator.callbacks import Person
from simulator.cards import CardRead


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkShown:
    """What one person sees of a link: a line, a card, or neither."""

    line: Mapping[str, Any] | None
    card: CardRead | None


@dataclass(slots=True, kw_only=True)
class Preview:
    """
    One link in one message.

    Attributes:
        token: The same whenever it is asked for.
        people: Whose clients have asked, by open id.
        pulls: How often they asked.
        refreshed_at: When the app last had it asked for again, in the machine's time (ms).
    """

    token: str
    url: str
    message_id: MessageId
    chat_id: ChatId
    people: dict[OpenId, Person] = field(default_factory=dict)
    views: dict[OpenId, LinkShown] = field(default_factory=dict)
    pulls: int = 0
    refreshed_at: EpochMs | None = None

    def pull(self, person: Person) -> None:
        """Note that somebody's client asks."""
        self.people[person.open_id] = person
        self.pulls += 1

    def show(self, person: OpenId, reaction: Reaction) -> None:
        """Let somebody see what was answered; after an error they go on seeing what they saw."""
        if reaction.client_error is None:
            self.views[person] = LinkShown(line=reaction.line, card=reaction.card)
