"""A piece of the outcomes topic, folded into what is known of the rows that it touches (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.core.codec import header, readable
from shared.core.events import Decided, EffectOutcome, Output, origin_of
from shared.core.fold import step
from shared.core.folded import EventKey, Folded, RightKey
from shared.core.json_text import EpochMs
from shared.core.rights import Right
from shared.core.traceparent import valid_traceparent
from shared.eventlog.port import Record
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from worker.ledger.restored import Changes, Touched

_K = TypeVar("_K")
_V = TypeVar("_V")

KINDS: tuple[Right, ...] = ("card", "preview")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """
    Records of the outcomes topic as what they tell.

    Attributes:
        traceparents: Of the decisions, where they have one.
        unreadable: How many records tell nothing that we can read.
    """

    outputs: Sequence[Output]
    traceparents: Mapping[EventKey, str]
    unreadable: int


def read(records: Sequence[Record]) -> Piece:
    """
    Return what records tell, in their order.

    Raises:
        NewerThanUs: A newer program wrote one of them.
    """
    outputs: list[Output] = []
    traceparents: dict[EventKey, str] = {}
    for record in records:
        event = readable(record.headers, record.value)
        if isinstance(event, Decided | EffectOutcome):
            outputs.append(event)
        if isinstance(event, Decided) and (traced := valid_traceparent(header(record.headers, "traceparent"))):
            traceparents[event.app_id, event.event_id] = traced
    return Piece(outputs=outputs, traceparents=traceparents, unreadable=len(records) - len(outputs))


def touched(outputs: Sequence[Output]) -> Touched:
    """Return the rows that these may change, or a few more."""
    decisions = [output for output in outputs if isinstance(output, Decided)]
    outcomes = [output for output in outputs if isinstance(output, EffectOutcome)]
    faces = {(one.app_id, of) for one in outcomes for of in (one.message_id, one.sent_message_id) if of is not None}
    return Touched(
        claims={(one.app_id, one.event_id) for one in decisions},
        cards={(one.app_id, one.message_id) for one in decisions if one.message_id is not None and one.version},
        faces=faces,
        effects={(one.app_id, one.event_id, one.index) for one in outcomes},
        tokens={
            RightKey(one.app_id, origin_of(one.event_id), kind)
            for one in outcomes
            if one.uses_left is not None
            for kind in KINDS
        },
        letters={(one.app_id, one.event_id) for one in decisions if one.redrive},
    )


def folded(piece: Piece, known: Folded, now: EpochMs) -> Changes:
    """
    Return what a piece changes of the rows that were known, which is everything that it touches.

    Args:
        now: The ledger's time (ms): rights that have lapsed by then are left alone.
    """
    after = Folded(
        claims=dict(known.claims),
        cards=dict(known.cards),
        faces=dict(known.faces),
        effects=dict(known.effects),
        tokens=dict(known.tokens),
        letters=dict(known.letters),
    )
    for output in piece.outputs:
        step(after, output)
    effects = _changed(known.effects, after.effects)
    young = _young(piece.outputs, now)
    return Changes(
        claims=_changed(known.claims, after.claims),
        cards=_changed(known.cards, after.cards),
        faces=_changed(known.faces, after.faces),
        planned={key: one for key, one in effects.items() if key not in known.effects},
        standings={key: one for key, one in effects.items() if key in known.effects},
        tokens={key: one for key, one in _changed(known.tokens, after.tokens).items() if key[:2] in young},
        letters=_changed(known.letters, after.letters),
        lifted=known.letters.keys() - after.letters.keys(),
        traceparents=piece.traceparents,
    )


def _changed(before: Mapping[_K, _V], after: Mapping[_K, _V]) -> dict[_K, _V]:
    return {key: row for key, row in after.items() if row is not before.get(key)}


def _young(outputs: Sequence[Output], now: EpochMs) -> frozenset[EventKey]:
    """Return the events whose callback's rights may hold still: decided, or used, before they could lapse."""
    since = now - CARD_TOKEN_VALID_MS
    return frozenset(
        (output.app_id, origin_of(output.event_id))
        for output in outputs
        if (output.decided_at if isinstance(output, Decided) else output.finished_at) > since
    )
