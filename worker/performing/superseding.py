"""
Which effects are pointless, because something newer takes their place (pure).

A full update (a whole card, a chat's name) makes older ones pointless, so only the newest eligible one is sent and
the others are superseded. Cards go by log order. Names go by the time that they count from (`Decided.counts_from`),
because a chat's name is wanted by cards of several partitions, whose log orders cannot be compared; among those of one
card that is log order again. Of reminders the newest counts, by log order, long before it is due.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.core.effects import PartOfCard, SetStreaming, kinds
from shared.core.events import CARD, ELEMENT, NAME, TEXT
from shared.core.ids import EventId
from worker.ledger.leased import Applied, Head, Leased

PARTS: Final = kinds(PartOfCard)

SWITCH: Final = SetStreaming.__name__

Newness = tuple[int, int, EventId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """An effect that needs no call, and what took its place: ``event/index``."""

    head: Head
    by: str


def superseded_by(newer: Sequence[Head], *, of: Iterable[Head], leased: Leased) -> list[Superseded]:
    """
    Return which of these need no call, and what took their place.

    Args:
        newer: What may take a place: eligible now, or performed.
    """
    newest = _newest(newer)
    found = ((head, _replaced_by(head, newest, leased)) for head in of)
    return [Superseded(head=head, by=by) for head, by in found if by is not None]


def is_part(head: Head) -> bool:
    """Say whether an effect changes a part of its card."""
    return head.kind in PARTS


def place_of(head: Head) -> str:
    """Return how an effect is named that took a place: ``event/index``."""
    return f"{head.event_id}/{head.index}"


def newness(head: Head) -> Newness:
    """Return what full updates of one target are compared by."""
    return name_newness(head) if head.coalesce == NAME else (head.order, 0, head.event_id, head.index)


def name_newness(head: Head) -> Newness:
    """Return what names of one chat are compared by: the moment that they count from, then the log's order."""
    return head.occurred_at, head.order, head.event_id, head.index


def applied_newness(applied: Applied) -> Newness:
    """Return what the applied name of a chat is compared by."""
    return applied.occurred_at, applied.order, applied.event_id, applied.index


def _newest(eligible: Sequence[Head]) -> dict[tuple[str, str], Head]:
    newest: dict[tuple[str, str], Head] = {}
    for head in eligible:
        if head.coalesce is not None:
            key = (head.audience, head.coalesce)
            if key not in newest or newness(newest[key]) < newness(head):
                newest[key] = head
    return newest


def _replaced_by(head: Head, newest: dict[tuple[str, str], Head], leased: Leased) -> str | None:
    if head.coalesce is None:
        return _switched_since(head, leased)
    # What changes a part gives way to the whole card, and a text to the element that it stands in; never the reverse.
    above = [head.coalesce, *([CARD] if is_part(head) else [])]
    if head.coalesce.startswith(TEXT):
        above.append(f"{ELEMENT}{head.coalesce.removeprefix(TEXT)}")
    for key in above:
        winner = newest.get((head.audience, key))
        if winner is not None and newness(head) < newness(winner):
            return place_of(winner)
    return _replaced_by_applied(head, leased)


def _switched_since(head: Head, leased: Leased) -> str | None:
    """Say what has switched streaming since one was decided that does so, and that is tried again by hand."""
    newer = (one for one in leased.performed if one.kind == head.kind == SWITCH and one.order > head.order)
    return next(map(place_of, newer), None)


def _replaced_by_applied(head: Head, leased: Leased) -> str | None:
    """Say what newer update the platform has already taken: one whose click's mark came before an older click's."""
    applied = leased.applied
    if applied is None or (applied.event_id, applied.index) == (head.event_id, head.index):
        return None
    if head.coalesce == NAME:
        overtaken = newness(head) < applied_newness(applied)
    else:
        shown = leased.face.shown_order if leased.face else None
        overtaken = shown is not None and head.order < shown
    return f"{applied.event_id}/{applied.index}" if overtaken else None
