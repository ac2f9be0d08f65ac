"""
What to do next for a target (pure).

What is superseded (`worker/performing/superseding.py`) needs no call. Everything else is sent in log order, and an
effect never overtakes an earlier one of its own event.

A card that a program asks for has no callback to wait for; but a click that was logged before it may be unanswered
still, and the platform would undo whatever is painted before that answer. So what changes a card waits until what
all earlier clicks change is due, too (docs/reference/platform.md, "Delayed updates"). What was tried and waits for its
next attempt waits for no answer any more: whatever is newer takes its place, or it would be painted last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.core.effects import ANSWERED_CARD, SetStreaming, StreamText, kinds
from shared.core.events import CARD, EVERYBODY, TIMER
from shared.core.ids import EventId
from shared.core.json_text import EpochMs
from worker.ledger.leased import FaceRow, Head, Leased
from worker.performing.superseding import SWITCH, Superseded, is_part, place_of, superseded_by

LOOK_MS: Final = 100
"""How soon a target is looked at again on which all waits for an answer: the mark may come at any time."""

STREAMING: Final = kinds(SetStreaming | StreamText)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """
    What to do for a leased target.

    Attributes:
        call: The one effect to perform now, if any.
        again: `call` was performed before and is sent once more, because an ambiguous call may have overtaken it.
        hold_ms: There is no call, because a click may be unanswered still: for so long.
    """

    superseded: Sequence[Superseded] = ()
    call: Head | None = None
    again: bool = False
    hold_ms: int = 0


def choose(leased: Leased, now: EpochMs) -> Choice:
    """Return which of a target's pending effects are superseded, and which one is performed next."""
    waiting = [head for head in leased.heads if _is_unanswered(head, now)]
    unanswered = waiting[0] if waiting else None
    # A newer reminder takes an older one's place however long either has to wait.
    due = [head for head in leased.heads if head.due <= now or head.coalesce == TIMER]
    eligible = [head for head in due if not _would_be_undone(head, waiting, leased.face)]
    tried = [head for head in leased.heads if head.due > now and head.k > 0 and head.coalesce != TIMER]
    superseded = superseded_by([*eligible, *leased.performed], of=[*eligible, *tried], leased=leased)
    gone = {one.head.key for one in superseded}
    alive = [head for head in leased.heads if head.key not in gone]
    ready = [head for head in eligible if head.key not in gone and head.due <= now and not _waits(head, alive)]
    if leased.more:
        # What took a place may lose it to what stands behind. Everything else is due, however much there is.
        winners = {one.by for one in superseded}
        ready = [head for head in ready if place_of(head) not in winners]
    call = _first(ready, alive)
    if call is None and unanswered is not None and len(eligible) < len(due):
        return Choice(superseded=superseded, hold_ms=_hold_ms(unanswered, now))
    held = [head.due - now for head in alive if head.due > now]
    if call is None and held and (not superseded if leased.more else len(held) < len(alive)):
        # What is due waits for what is not; what stands behind comes into sight when something here has gone.
        looks = held if unanswered is None else [*held, _hold_ms(unanswered, now)]
        return Choice(superseded=superseded, hold_ms=min(looks))
    if call is None and leased.resend is not None and not leased.more:
        return Choice(superseded=superseded, call=leased.resend, again=True)
    return Choice(superseded=superseded, call=call)


def is_painted(head: Head, face: FaceRow | None) -> bool:
    """
    Say whether an effect is a card that the answer to its click has put on the screen.

    While text is streamed into a card, no answer changes it, and whether it is being streamed into just now the
    platform alone knows: so a card for everybody that has become an entity is sent, whatever was answered. Source:
    docs/reference/platform.md, "Cards as entities".
    """
    is_entity = face is not None and face.card_id is not None
    return head.kind == ANSWERED_CARD and bool(head.delivered) and not (is_entity and head.audience == EVERYBODY)


def _waits(head: Head, alive: Sequence[Head]) -> bool:
    """Say whether something older must be done before this change of a part, though it is not of the same event."""
    return is_part(head) and any(one.order < head.order and _goes_before(one, head) for one in alive)


def _goes_before(older: Head, part: Head) -> bool:
    """Say whether a part would be painted over by an older whole card, or find streaming switched otherwise."""
    if older.coalesce == CARD and older.audience == EVERYBODY:
        return True
    return SWITCH in {older.kind, part.kind} and {older.kind, part.kind} <= STREAMING


def _is_unanswered(head: Head, now: EpochMs) -> bool:
    """Say whether a change of a card waits for its click's answer; what was tried waits for something else."""
    return _changes_card(head) and head.due > now and head.k == 0


def _changes_card(head: Head) -> bool:
    return head.coalesce == CARD or is_part(head)


def _would_be_undone(head: Head, waiting: Sequence[Head], face: FaceRow | None) -> bool:
    if not waiting or not _changes_card(head) or head.order < waiting[0].order:
        return False
    if not is_painted(head, face):
        return True
    # An answer that arrived is painted already. That one person's was is not known of their card afterwards: it waits
    # to take the older one's place.
    older = (one for one in waiting if one.order < head.order and one.audience == head.audience)
    return head.audience != EVERYBODY and next(older, None) is not None


def _hold_ms(unanswered: Head, now: EpochMs) -> int:
    return min(unanswered.due - now, LOOK_MS if unanswered.marked_at is None else unanswered.due - now)


def _first(rest: Sequence[Head], alive: Sequence[Head]) -> Head | None:
    """Return the first in log order that no earlier effect of its own event, still waiting, holds back."""
    lowest: dict[EventId, int] = {}
    for head in alive:
        lowest[head.event_id] = min(head.index, lowest.get(head.event_id, head.index))
    ready = (head for head in rest if head.index == lowest[head.event_id])
    return min(ready, key=lambda head: (head.decided_at, head.order), default=None)
