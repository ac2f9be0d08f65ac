"""What only inputs hold, taken out of a piece of them (pure)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from shared.core.codec import header
from shared.core.events import (
    Asked,
    CallReturned,
    InteractionAnswered,
    InteractionReceived,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.folded import EventKey, RightKey
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from worker.ledger.decided import AppTicket
from worker.ledger.restored import Decision, Decisions, Found, Heard, KeptInput, Place, Right
from worker.rebuilding.inputs import Laid


@dataclass(slots=True)
class _Finding:
    heard: dict[EventKey, Heard] = field(default_factory=dict)
    answered: dict[EventKey, EpochMs] = field(default_factory=dict)
    letters: dict[EventKey, KeptInput] = field(default_factory=dict)
    rights: dict[RightKey, Right] = field(default_factory=dict)
    timings: dict[EventKey, Place] = field(default_factory=dict)
    new_style_at: dict[AppId, EpochMs] = field(default_factory=dict)
    tickets: dict[AppId, AppTicket] = field(default_factory=dict)


def found(laid: Sequence[Laid], known: Decisions, homeless: Collection[Laid], now: EpochMs, *, moved: bool) -> Found:
    """
    Return what a piece adds to what was decided of its inputs.

    Args:
        homeless: Inputs that were decided elsewhere, in a log that was moved since: they lie here now.
        now: The ledger's time (ms): rights that have lapsed by then are left out.
        moved: The log was moved, as far as is known by now.
    """
    finding = _Finding()
    for one in laid:
        decision = known.by_event.get(one.key) if one.key is not None else None
        if decision is None:
            continue
        match one.fact:
            case InteractionAnswered() as mark:
                _answered(finding, mark, known)
            case InteractionReceived() | CallReturned() | TimerFired() | RequestReceived() as asked:
                _received(finding, one, asked, decision, now)
                if moved and decision.redrive:
                    finding.timings.setdefault((asked.app_id, asked.event_id), one.place)
            case _:
                pass
    homes = {one.key: one.place for one in homeless if one.key is not None}
    redriven = {one.key for one in homeless if isinstance(one.fact, RedriveRequested)}
    return Found(
        heard=finding.heard,
        answered=finding.answered,
        letters=finding.letters,
        rights=finding.rights,
        homes={key: place for key, place in homes.items() if key not in redriven},
        redriven={key: place for key, place in homes.items() if key in redriven},
        timings=finding.timings,
        new_style_at=finding.new_style_at,
        tickets=finding.tickets,
    )


def _answered(finding: _Finding, mark: InteractionAnswered, known: Decisions) -> None:
    """Take a mark in: the first of an event counts."""
    key = (mark.app_id, mark.event_id)
    before = finding.heard.get(key, Heard())
    if before.answered_at is None:
        finding.heard[key] = Heard(
            received_at=before.received_at, answered_at=mark.answered_at, delivered=mark.delivered
        )
    if key in known.returning:
        finding.answered.setdefault(key, mark.answered_at)


def _received(finding: _Finding, one: Laid, asked: Asked, decision: Decision, now: EpochMs) -> None:
    key = (asked.app_id, asked.event_id)
    before = finding.heard.get(key, Heard())
    if before.received_at is None:
        finding.heard[key] = Heard(
            received_at=asked.received_at, answered_at=before.answered_at, delivered=before.delivered
        )
    if decision.result == "failed":
        kind = header(one.record.headers, "ce_type") or ""
        kept = KeptInput(interaction=one.record.value, kind=kind, offset=one.record.offset)
        finding.letters.setdefault(key, kept)
    if isinstance(asked, InteractionReceived):
        _callback(finding, asked, now)


def _callback(finding: _Finding, click: InteractionReceived, now: EpochMs) -> None:
    if click.received_at > now - CARD_TOKEN_VALID_MS:
        if click.card_token:
            _right(finding, RightKey(click.app_id, click.event_id, "card"), click.card_token, click.received_at)
        if click.preview_token:
            _right(finding, RightKey(click.app_id, click.event_id, "preview"), click.preview_token, click.received_at)
    if click.kind == "card_action":
        newest = finding.new_style_at.get(click.app_id, 0)
        finding.new_style_at[click.app_id] = max(newest, click.received_at)
    if click.app_ticket is not None:
        ticket = AppTicket(ticket=Secret(click.app_ticket), at=click.received_at)
        finding.tickets[click.app_id] = max(finding.tickets.get(click.app_id, ticket), ticket, key=attrgetter("at"))


def _right(finding: _Finding, key: RightKey, token: str, received_at: EpochMs) -> None:
    finding.rights.setdefault(key, Right(token=Secret(token), received_at=received_at))
