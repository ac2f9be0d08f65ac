"""
A card that a click was answered with (pure).

If the answer was delivered, the card is on the screen, and there is nothing to call: it is written down, and older
updates are superseded by it. Whether it is on the screen *still* cannot be told where somebody else painted at about
the same time: an older update on its way, another click's answer. Then the newest state is sent once more. A card
that has become an entity may be one that answers do not change: its answered card is sent, after the settle gap.
"""

from typing import Final, Literal

from shared.core.cards import card_format
from shared.core.events import EVERYBODY
from shared.core.json_text import EpochMs, JsonText
from shared.feishu.validity import update_too_late
from worker.ledger.leased import Applied, FaceRow, Head
from worker.performing.choose import is_painted
from worker.performing.request import digest_of
from worker.performing.turn import Result, Turn

CLOCKS_MS: Final = 1_000
"""How far a gateway's clock may be ahead of the ledger's: that much earlier calls count as made at the same time."""


def answered(turn: Turn, head: Head, card: JsonText, now: EpochMs, *, settle_ms: int) -> Result | None:
    """
    Return what an answered card comes to without a call; ``None``: it is to be sent like any other update.

    Args:
        head: The answered card's.
        now: The ledger's time (ms).
        settle_ms: How long a client may still be painting an answer.
    """
    face = turn.leased.face
    if turn.choice.again:
        return None
    if not head.delivered:
        return None
    if face is not None and update_too_late(face.sent_at, face.card_format or "1.0", head.occurred_at):
        told = turn.tell(head, "refused", now=now, reason="expired", folded=turn.folded(head))
        return turn.settled(now, (head, told))
    if not is_painted(head, face):
        # Its answer was only just written: what follows it at once would be undone, if the card is not streaming.
        left_ms = (head.marked_at or now) + settle_ms - now
        return turn.put_off(now, pace_ms=left_ms) if left_ms > 0 else None
    return _shown(turn, head, card, now, _repaint(turn, head, settle_ms))


def left_behind(turn: Turn, *, settle_ms: int) -> Literal["keep"] | int:
    """Return what a turn without a call must wish for: a superseded answer may have been painted over the newest."""
    return settle_ms if _is_unsure(turn) else "keep"


def _shown(turn: Turn, head: Head, card: JsonText, now: EpochMs, resend: Literal["keep"] | int) -> Result:
    if head.audience != EVERYBODY:
        # Everybody else sees what they saw before.
        return turn.settled(now, (head, turn.tell(head, "succeeded", now=now, reason="answered")))
    shown, written = digest_of(card), card_format(card)
    told = turn.tell(
        head,
        "succeeded",
        now=now,
        reason="answered",
        folded=turn.folded(head),
        shown=shown,
        shown_order=head.order,
        card_format=written,
    )
    return turn.settled(
        now,
        (head, told),
        resend=resend,
        applied=Applied(occurred_at=head.occurred_at, order=head.order, event_id=head.event_id, index=head.index),
        face=None
        if head.message_id is None
        else FaceRow(
            app_id=head.app_id,
            message_id=head.message_id,
            shown=shown,
            shown_order=head.order,
            card_format=written,
        ),
    )


def _repaint(turn: Turn, head: Head, settle_ms: int) -> Literal["keep"] | int:
    called_at = turn.leased.called_at
    at_the_same_time = called_at is not None and called_at >= head.received_at - CLOCKS_MS
    return settle_ms if at_the_same_time or _is_unsure(turn) else "keep"


def _is_unsure(turn: Turn) -> bool:
    # Effect 0 belongs to an answer: its card itself, or what is to be shown in its place.
    return any(one.head.index == 0 and one.head.delivered for one in turn.choice.superseded)
