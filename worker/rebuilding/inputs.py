"""A piece of the interactions topic, joined by event id with what was decided about it (pure)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.core.codec import decode, header
from shared.core.errors import NewerThanUs, Undecodable
from shared.core.events import (
    Asked,
    CallReturned,
    Decided,
    EffectOutcome,
    Input,
    InteractionAnswered,
    InteractionReceived,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.folded import EventKey, RightKey
from shared.core.ids import AppId, DeliveryKey
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.port import Record
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from worker.identity import record_id
from worker.ledger.restored import Decision, Decisions, Found, Heard, KeptInput, Place, Progress, Right

_ASKED: Final = (InteractionReceived, CallReturned, TimerFired, RequestReceived)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """An input and its record; ``None``: nothing that is decided, for nobody can read it."""

    record: Record
    fact: Input | None

    @property
    def key(self) -> EventKey | None:
        """The event that it is, or is about."""
        return None if self.fact is None else (self.fact.app_id, self.fact.event_id)

    @property
    def place(self) -> Place:
        """Where it lies."""
        return Place(self.record.partition, self.record.offset)


def read(records: Sequence[Record]) -> Sequence[Laid]:
    """
    Return the inputs that records hold, in their order.

    Raises:
        NewerThanUs: A newer program wrote one of them.
    """
    return [Laid(record=record, fact=_fact(record)) for record in records]


def _fact(record: Record) -> Input | None:
    try:
        event = decode(record.headers, record.value)
    except NewerThanUs:
        raise
    except Undecodable:
        return None
    return None if isinstance(event, Decided | EffectOutcome) else event


def events(laid: Sequence[Laid]) -> Collection[EventKey]:
    """Return the events that are claimed, or that a redrive or a mark is about."""
    return {key for one in laid if (key := one.key) is not None}


def deliveries(laid: Sequence[Laid]) -> Collection[tuple[AppId, DeliveryKey]]:
    """Return the deliveries by which a second event is known for the same callback."""
    facts = (one.fact for one in laid)
    return {
        (fact.app_id, fact.delivery_key)
        for fact in facts
        if isinstance(fact, InteractionReceived) and fact.delivery_key is not None
    }


def marked(laid: Sequence[Laid]) -> Collection[EventKey]:
    """Return the events that answered marks are about."""
    return {(one.fact.app_id, one.fact.event_id) for one in laid if isinstance(one.fact, InteractionAnswered)}


def advanced(progress: Progress, laid: Sequence[Laid], known: Decisions, *, moved: bool) -> Progress:
    """Return how far a partition is read behind a piece: its position stays at the first input that is not decided."""
    position, last_id = progress.position, progress.last_id
    if position is None:
        for one in laid:
            if not _is_decided(one.fact, known):
                position = one.record.offset
                break
            last_id = record_id(one.record)
    return Progress(next=laid[-1].record.offset + 1, position=position, last_id=last_id, moved=progress.moved or moved)


def _is_decided(fact: Input | None, known: Decisions) -> bool:
    match fact:
        case InteractionReceived() | CallReturned() | TimerFired() | RequestReceived():
            delivery = fact.delivery_key if isinstance(fact, InteractionReceived) else None
            return (fact.app_id, fact.event_id) in known.by_event or (
                delivery is not None and (fact.app_id, delivery) in known.deliveries
            )
        case RedriveRequested():
            # Of what failed and was redriven less often, somebody wanted it and nobody has come to it.
            decision = known.by_event.get((fact.app_id, fact.event_id))
            return decision is None or decision.result != "failed" or decision.redrive >= fact.n
        case _:
            return True


def strays(laid: Sequence[Laid], known: Decisions) -> Iterator[tuple[Laid, Place]]:
    """
    Yield inputs that do not lie where they were decided, each event once, and that place.

    A repetition, or a log that was moved: what lies at that place tells.
    """
    seen: set[EventKey] = set()
    for one in laid:
        key, decision = one.key, known.by_event.get(one.key) if one.key is not None else None
        if key is None or decision is None or key in seen or not _is_decided_by(one.fact, decision):
            continue
        seen.add(key)
        if decision.place != one.place:
            yield one, decision.place


def _is_decided_by(fact: Input | None, decision: Decision) -> bool:
    """Say whether a decision was made at this record: at the input itself, or at the redrive that it was made for."""
    if isinstance(fact, RedriveRequested):
        return fact.n == decision.redrive
    return isinstance(fact, _ASKED) and decision.redrive == 0


@dataclass(slots=True)
class _Finding:
    heard: dict[EventKey, Heard] = field(default_factory=dict)
    answered: dict[EventKey, EpochMs] = field(default_factory=dict)
    letters: dict[EventKey, KeptInput] = field(default_factory=dict)
    rights: dict[RightKey, Right] = field(default_factory=dict)
    timings: dict[EventKey, Place] = field(default_factory=dict)
    new_style_at: dict[AppId, EpochMs] = field(default_factory=dict)
    tickets: dict[AppId, tuple[Secret, EpochMs]] = field(default_factory=dict)


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
        ticket = (Secret(click.app_ticket), click.received_at)
        finding.tickets[click.app_id] = max(finding.tickets.get(click.app_id, ticket), ticket, key=lambda one: one[1])


def _right(finding: _Finding, key: RightKey, token: str, received_at: EpochMs) -> None:
    finding.rights.setdefault(key, Right(token=Secret(token), received_at=received_at))


def told_there(places: Mapping[Place, str | None], one: Laid, place: Place) -> bool:
    """Say whether the record at the place of a decision is the one that was decided: then this one repeats it."""
    return place in places and places[place] == record_id(one.record)
