"""Rows of a fold, to the database and back: what each table's columns say."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shared.core.effects import StoredEffect
from shared.core.folded import (
    REQUEST,
    ROUTING,
    FoldedCard,
    FoldedClaim,
    FoldedEffect,
    FoldedFace,
    FoldedLetter,
    FoldedToken,
)
from shared.feishu.limits import CARD_TOKEN_USES
from worker.ledger.reads import bytes_of, text_of

UNREAD: Final = b""
"""What stands for what only an input holds, until that is read."""

_EFFECT: Final = msgspec.json.Decoder(StoredEffect)

CLAIM: Final = (
    "delivery_key", "result", "redrive", "handler", "digest", "reason", "partition", "offset", "message_id", "open_id",
    "occurred_at", "late",
)  # fmt: skip
FACE: Final = FoldedFace.__struct_fields__
PLANNED: Final = (
    "tenant_key", "message_id", "target", "audience", "coalesce", "eligibility", "order", "occurred_at", "decided_at",
)  # fmt: skip
STANDING: Final = ("target", "status", "k", "attempts", "begun_at", "marked_at", "redriven_at")


def claim_of(row: Any) -> FoldedClaim:
    """Return a claim as it was stored."""
    return FoldedClaim(
        **{name: row._mapping[name] for name in CLAIM},  # noqa: SLF001  (named so against clashes)
        decided_at=row.claimed_at,
    )


def card_of(row: Any) -> FoldedCard:
    """Return a card as it was stored."""
    return FoldedCard(
        version=row.version,
        state=text_of(row.state),
        content=text_of(row.content),
        newest_at=row.newest_at,
        rules=text_of(row.rules),
    )


def card_values(card: FoldedCard) -> tuple[Any, ...]:
    """Return a card's columns behind its key."""
    return (card.version, bytes_of(card.state), bytes_of(card.content), card.newest_at, bytes_of(card.rules))


def face_of(row: Any) -> FoldedFace:
    """Return a face as it was stored."""
    told = {name: row._mapping[name] for name in FACE}  # noqa: SLF001  (named so against clashes)
    return FoldedFace(**{**told, "sent": text_of(row.sent)})


def face_values(face: FoldedFace) -> tuple[Any, ...]:
    """Return a face's columns behind its key."""
    return tuple(bytes_of(face.sent) if name == "sent" else getattr(face, name) for name in FACE)


def effect_of(row: Mapping[str, Any]) -> FoldedEffect:
    """Return an effect as it was stored, without its outcome: what is told next takes its place."""
    told = {name: row[name] for name in (*PLANNED, *STANDING[1:])}
    return FoldedEffect(**told, due=row["due"], effect=_EFFECT.decode(row["payload"]))


def letter_of(row: Any) -> FoldedLetter:
    """Return a dead letter as it was stored, less what it says."""
    nobody = row.handler in {REQUEST, ROUTING}
    return FoldedLetter(
        handler=None if nobody else row.handler,
        reason=row.reason,
        message_id=row.message_id,
        parks=row.parks,
        is_request=row.handler == REQUEST,
        offset=row.offset,
        died_at=row.died_at,
    )


def letter_values(letter: FoldedLetter) -> tuple[Any, ...]:
    """Return a dead letter's columns behind its key; it says nothing yet."""
    reason = letter.reason or "failed"
    return (letter.named, reason, letter.message_id, letter.parks, letter.offset, letter.died_at, UNREAD)


def uses(token: FoldedToken) -> int:
    """Return how often a right was used, or may have been."""
    return 0 if token.uses_left is None else CARD_TOKEN_USES - token.uses_left
