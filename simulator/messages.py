"""Messages and the cards in them: who sees what, and every version there was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.core.ids import ChatId, EventId, MessageId, OpenId
from shared.core.json_text import EpochMs, JsonText
from simulator.cards import CardRead, is_updatable
from simulator.entities import Entity
from simulator.refusals import Refused

ChangedBy = Literal["sent", "answer", "token", "patch", "cardkit", "revert"]
"""What made a version; ``revert``: an update that came before the click's answer was undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a card showed from a time on; `audience` is one person for a change that only they see."""

    at_ms: EpochMs
    by: ChangedBy
    card: JsonText
    audience: OpenId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a message answers: the first message of its tree, the one above it, and the thread it is in, if any."""

    root_id: MessageId
    parent_id: MessageId
    thread_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What everybody saw at a time, and what single people saw instead."""

    card: CardRead | None
    views: Mapping[OpenId, CardRead]


@dataclass(slots=True, kw_only=True)
class Message:
    """
    One message.

    Attributes:
        content: The JSON text of the content as sent; for a card, what everybody sees now stands in `card`.
        entity: The card entity that it shows, if it has an id of its own.
        only_for: The one person who sees it at all: an ephemeral card, which is a view and never `card`.
        views: What single people see instead of `card`.
        open_clicks: Clicks whose callback is not answered yet, by event id.
        causes: Clicks that were answered, less updates by message id: how many more updates have a click behind them.
        before_early: What was shown before an update that came too early; shown again at the answer.
    """

    message_id: MessageId
    chat_id: ChatId
    msg_type: str
    content: str
    sent_at: EpochMs
    updated_at: EpochMs
    uuid: str | None = None
    card: CardRead | None = None
    is_recalled: bool = False
    reply: Reply | None = None
    only_for: OpenId | None = None
    entity: Entity | None = None
    views: dict[OpenId, CardRead] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    open_clicks: set[EventId] = field(default_factory=set)
    causes: int = 0
    before_early: Shown | None = None

    def seen_by(self, person: OpenId) -> CardRead | None:
        """Return the card that this person sees."""
        return self.views.get(person, self.card)

    def check_patch(self, *, now: EpochMs) -> CardRead:
        """
        Return the card that an update by message id would replace.

        Raises:
            Refused: 230011 recalled; 230001 not a card, or not a shared one; 230031 too old.
        """
        if self.is_recalled:
            raise Refused(230011)
        if self.card is None:
            raise Refused(230001, "This message is NOT a card.")
        if not is_updatable(self.sent_at, self.card.format, now):
            raise Refused(230031, "Message can only be updated within fourteen days.")
        return self.card

    def patch(self, new: CardRead, *, now: EpochMs) -> bool:
        """
        Show another card to everybody; return whether that came before the answer of the click behind it.

        Which click that is, is not written on an update. While some click of this card waits for its answer, an
        update comes too early if the card names that click's event id, or if fewer clicks were answered than updates
        came. An update repeated after a lost reply changes nothing and is never too early.

        Raises:
            Refused: 230001 one of the two cards is not shared.
        """
        old = self.card
        if old is None or not (old.shared and new.shared):
            raise Refused(230001, "This message is NOT a shared card: config.update_multi must be true.")
        if new.text == old.text:
            return False
        is_early = self._is_early(new)
        self._hold_early(is_early=is_early)
        self.causes = max(0, self.causes - 1)
        self.show(new, by="patch", now=now)
        return is_early

    def update_by_token(self, new: CardRead, people: tuple[OpenId, ...], *, now: EpochMs, is_early: bool) -> None:
        """Show another card to everybody, or to these people."""
        self._hold_early(is_early=is_early)
        if not people:
            self.show(new, by="token", now=now)
        for person in people:
            self.show_to(person, new, by="token", now=now)

    def update_by_cardkit(self, new: CardRead, *, now: EpochMs) -> None:
        """Show everybody the card that an operation on its entity left."""
        self.causes = max(0, self.causes - 1)
        self.show(new, by="cardkit", now=now)

    def show(self, new: CardRead, *, by: ChangedBy, now: EpochMs) -> None:
        """Let everybody see this card; of an ephemeral one, the person it is for."""
        if self.only_for is not None:
            self.show_to(self.only_for, new, by=by, now=now)
            return
        self.card = new
        self.views.clear()
        self.updated_at = now
        self.versions.append(Version(at_ms=now, by=by, card=new.text))

    def show_to(self, person: OpenId, new: CardRead, *, by: ChangedBy, now: EpochMs) -> None:
        """Let one person see this card."""
        self.views[person] = new
        self.updated_at = now
        self.versions.append(Version(at_ms=now, by=by, card=new.text, audience=person))

    def close_click(self, event_id: EventId, *, now: EpochMs) -> None:
        """Note that a click was answered, or that the platform gave it up; undo what came too early."""
        if event_id not in self.open_clicks:
            return
        self.open_clicks.discard(event_id)
        self.causes += 1
        if self.before_early is not None:
            self._revert(self.before_early, now=now)
            self.before_early = None

    def _revert(self, shown: Shown, *, now: EpochMs) -> None:
        if shown.card is not None:
            self.show(shown.card, by="revert", now=now)
        for person, card in shown.views.items():
            self.show_to(person, card, by="revert", now=now)

    def _is_early(self, new: CardRead) -> bool:
        return any(event_id in new.text for event_id in self.open_clicks) or bool(self.open_clicks and not self.causes)

    def _hold_early(self, *, is_early: bool) -> None:
        if is_early and self.before_early is None:
            self.before_early = Shown(card=self.card, views=dict(self.views))
