"""
What a batch has decided so far, on top of what the ledger knew: the value that one transaction will store.

Later records of a batch must see what earlier ones decided, so the draft answers the same questions as the
ledger and is asked instead of it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.app.handler import Handler
from shared.core.codec import Encoded, encode, header
from shared.core.decision import Card
from shared.core.effects import AnsweredCard
from shared.core.events import (
    Asked,
    CallReturned,
    CardSeen,
    ClaimResult,
    Decided,
    InteractionAnswered,
    InteractionReceived,
    PlannedEffect,
    RedriveRequested,
    RequestReceived,
    TimerFired,
    shown_by,
)
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId
from shared.core.json_text import EpochMs, JsonText
from shared.core.races import NOBODY_YET, Standing, Standings, joined
from shared.core.secret import Secret
from shared.eventlog.port import MAX_RECORD_BYTES, NewRecord, Topics
from worker.deciding.batch import Taken, parked
from worker.deciding.plan import UNANSWERED_MS
from worker.deciding.rights import rights
from worker.deciding.suspension import after_miss, after_success
from worker.ledger.port import (
    AppTicket,
    CardKey,
    CardRow,
    ClaimKey,
    ClaimRow,
    DeadLetter,
    DeliveryRef,
    FaceRow,
    Known,
    Mark,
    Move,
    NewEffect,
    Redrivable,
    Suspension,
    Write,
)
from worker.settings import SETTLE_MS

NEW_STYLE_MS: Final = 60_000
"""How often an app's newest new-style callback is written down at most."""

TOLD_BYTES: Final = MAX_RECORD_BYTES - 20_000
"""How large a `Decided` may be; its headers, with the ids of the platform's, need the rest."""

ROUTING: Final = "(routing)"
"""Stands for the handler's name where a predicate hung before one was found: predicates are suspended together."""

REQUEST: Final = "(request)"
"""Stands for the handler's name where there is none because a program asked."""

_JSON: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    What was decided about one interaction, or one request.

    Attributes:
        requests: Updates of other cards, which leave to be decided there.
        state: JSON text of the new state; ``None`` keeps it.
        content: The card to show from now on; ``None`` keeps it.
        seen: The card the handler saw.
        added: Who joined the handler's race.
        parks: The input failed, and its card stands still until it is decided.
    """

    result: ClaimResult
    reason: str | None = None
    handler: Handler | None = None
    effects: tuple[PlannedEffect, ...] = ()
    requests: tuple[RequestReceived, ...] = ()
    state: JsonText | None = None
    content: JsonText | None = None
    late: bool = False
    seen: Card | None = None
    added: Standing = NOBODY_YET
    parks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimed:
    """
    An input with everything that was decided about it, and the record that tells it.

    Attributes:
        kept: The input as it is kept if it failed: its record's value, and its ``ce_type``.
    """

    taken: Taken
    kept: tuple[bytes, str]
    click: Asked
    verdict: Verdict
    decided: Decided
    told: Encoded


class Draft:
    """The batch's decisions, as one `Write` in the making."""

    def __init__(self, known: Known) -> None:
        self.now: EpochMs = known.now
        self.results: Counter[str] = Counter()
        self.marks = 0
        self._known = known
        self._passed: dict[int, Taken] = {}
        self._claims: dict[ClaimKey, _Claimed] = {}
        self._deliveries: set[DeliveryRef] = set()
        self._cards: dict[CardKey, CardRow] = {}
        self._marked: dict[ClaimKey, InteractionAnswered] = {}
        self._suspensions: dict[str, Suspension] = {}
        self._parking: dict[CardKey, list[EventId]] = {}
        self.parked: list[tuple[Taken, str]] = []
        self.taken = 0

    @property
    def decisions(self) -> Iterator[tuple[Asked, Decided]]:
        """Its inputs, each with what was decided."""
        return ((claimed.click, claimed.decided) for claimed in self._claims.values())

    @property
    def traced(self) -> Iterator[tuple[str | None, Decided]]:
        """What was decided about each input, with its record's ``traceparent``."""
        return ((claimed.taken.traceparent, claimed.decided) for claimed in self._claims.values())

    # questions

    def is_claimed(self, click: Asked) -> bool:
        """Say whether this event, or this very delivery, was decided before."""
        key = ClaimKey(click.app_id, click.event_id)
        if key in self._claims or key in self._known.claims:
            return True
        delivery = _delivery(click)
        return delivery is not None and (delivery in self._deliveries or delivery in self._known.deliveries)

    def face(self, click: Asked) -> FaceRow | None:
        """Return what the platform has of the clicked card, as far as we know."""
        return self._known.faces.get(CardKey(click.app_id, click.message_id)) if click.message_id else None

    def card(self, click: Asked) -> Card | None:
        """Return the card for the handler; ``None`` when neither a decision nor a send of ours made it known."""
        row, face = self._row(click), self.face(click)
        own = face is not None and face.sent_at is not None
        if row is None and not own:
            return None
        return Card(
            version=row.version if row else 0,
            state_text=row.state if row else None,
            content_text=self.content(click),
            chat_id=self.chat_of(click),
            sent_at=face.sent_at if face else None,
            rules=row.rules if row else {},
        )

    def content(self, click: Asked) -> JsonText | None:
        """Return what the card is intended to show so far, where that is known."""
        row, face = self._row(click), self.face(click)
        return (row.content if row else None) or (face.sent if face else None)

    def chat_of(self, click: Asked) -> ChatId | None:
        """Return the card's chat: the callback's, else our own send's."""
        face = self.face(click)
        told = None if isinstance(click, RequestReceived) else click.chat_id
        return told or (face.chat_id if face else None)

    def newest_at(self, click: Asked) -> EpochMs | None:
        """Return the time of the card's newest decided click (ms)."""
        row = self._row(click)
        return row.newest_at if row else None

    def answered_at(self, click: Asked) -> EpochMs | None:
        """Return when the click was answered with which an input began, if a mark has said so (ms)."""
        if not isinstance(click, CallReturned | TimerFired):
            return None
        key = ClaimKey(click.app_id, click.origin)
        return self.now if key in self._marked else self._known.answered.get(key)

    def redrivable(self, redrive: RedriveRequested) -> Redrivable | None:
        """Return the dead letter that is to be decided again; ``None``: it is none any more, or was redriven since."""
        key = ClaimKey(redrive.app_id, redrive.event_id)
        found = None if key in self._claims else self._known.redrivable.get(key)
        return found if found is not None and found.redrive < redrive.n else None

    def parked_behind(self, click: Asked) -> EventId | None:
        """Return the input that must be decided before any other of a card that stands still."""
        waiting = self._parked_on(click)
        return waiting[0] if waiting else None

    def _parked_on(self, click: Asked) -> list[EventId]:
        if click.message_id is None:
            return []
        key = CardKey(click.app_id, click.message_id)
        return self._parking.setdefault(key, list(self._known.parked.get(key, ())))

    def suspension(self, handler: str) -> Suspension | None:
        """Return the handler's record of missed deadlines, if it has one."""
        return self._suspensions.get(handler) or self._known.suspensions.get(handler)

    def _row(self, click: Asked) -> CardRow | None:
        if click.message_id is None:
            return None
        key = CardKey(click.app_id, click.message_id)
        return self._cards.get(key) or self._known.cards.get(key)

    # decisions

    def claim(self, taken: Taken, click: Asked, verdict: Verdict) -> None:
        """Take a verdict in: the claim, the card's new row, the `Decided` fact."""
        self._take_in(taken, click, verdict, (taken.record.value, header(taken.record.headers, "ce_type") or ""))

    def redecide(self, taken: Taken, click: Asked, verdict: Verdict, letter: Redrivable, n: int) -> None:
        """Take in the verdict on an input that failed before, in its nth redrive."""
        self._take_in(taken, click, verdict, (letter.interaction, letter.kind), redrive=n)

    def _take_in(
        self, taken: Taken, click: Asked, verdict: Verdict, kept: tuple[bytes, str], *, redrive: int = 0
    ) -> None:
        claimed, row = self._claimed(taken, click, verdict, kept, redrive)
        if len(claimed.told.value) > TOLD_BYTES:
            # State and card of earlier decisions count too, so only the whole can be judged.
            refused = Verdict(result="failed", reason="decided more than the log takes", handler=verdict.handler)
            claimed, row = self._claimed(taken, click, refused, kept, redrive)
        if delivery := _delivery(click):
            self._deliveries.add(delivery)
        if row is not None:
            self._cards[CardKey(row.app_id, row.message_id)] = row
        self._claims[ClaimKey(click.app_id, click.event_id)] = claimed
        self.results[claimed.verdict.result] += 1
        self._note_parking(click, claimed.verdict)

    def _note_parking(self, click: Asked, verdict: Verdict) -> None:
        waiting = self._parked_on(click)
        if verdict.parks and click.event_id not in waiting:
            waiting.append(click.event_id)
        elif not verdict.parks and click.event_id in waiting:
            waiting.remove(click.event_id)

    def _claimed(
        self, taken: Taken, click: Asked, verdict: Verdict, kept: tuple[bytes, str], redrive: int
    ) -> tuple["_Claimed", CardRow | None]:
        row = self._next_row(click, verdict)
        decided = self._decided(taken, click, verdict, row, redrive)
        told = encode(decided, traceparent=taken.traceparent)
        return _Claimed(taken=taken, kept=kept, click=click, verdict=verdict, decided=decided, told=told), row

    def mark(self, mark: InteractionAnswered) -> None:
        """Note a mark; the first of an event counts."""
        self.marks += 1
        self._marked.setdefault(ClaimKey(mark.app_id, mark.event_id), mark)

    def skip(self) -> None:
        """Note a duplicate: nothing is written for it."""
        self.results["duplicate"] += 1

    def park(self, taken: Taken, reason: str) -> None:
        """Put a record aside, bytes untouched."""
        self.results["parked"] += 1
        self.parked.append((taken, reason))

    def missed(self, handler: str) -> None:
        """Note a missed deadline of a handler."""
        standing = self.suspension(handler) or Suspension(handler=handler)
        self._suspensions[handler] = after_miss(standing, self.now)

    def kept(self, handler: str) -> None:
        """Note that a handler came back in time."""
        standing = self.suspension(handler)
        if standing is not None and standing.misses:
            self._suspensions[handler] = after_success(standing)

    def passed(self, taken: Taken) -> None:
        """Note that the batch is decided up to and including this record."""
        self._passed[taken.record.partition] = taken
        self.taken += 1

    def _next_row(self, click: Asked, verdict: Verdict) -> CardRow | None:
        """Return the card's row after a decision; ``None`` where nothing about the card is known or changes."""
        row = self._row(click)
        decides = verdict.result == "decided"
        changes = verdict.state is not None or verdict.content is not None or verdict.added != NOBODY_YET
        if click.message_id is None or not (changes or (decides and row is not None)):
            return None
        newest = row.newest_at if row else None
        return CardRow(
            app_id=click.app_id,
            message_id=click.message_id,
            version=(row.version if row else 0) + 1,
            state=verdict.state or (row.state if row else None),
            content=verdict.content or (row.content if row else None),
            # Nobody's click is late because of one that merely counted.
            newest_at=_newest(newest, click) if decides or verdict.content is not None else newest,
            rules=_rules(row, verdict),
        )

    def _decided(self, taken: Taken, click: Asked, verdict: Verdict, row: CardRow | None, redrive: int) -> Decided:
        return Decided(
            event_id=click.event_id,
            app_id=click.app_id,
            tenant_key=click.tenant_key,
            message_id=click.message_id,
            partition=taken.record.partition,
            offset=taken.record.offset,
            delivery_key=_delivery_key(click),
            result=verdict.result,
            redrive=redrive,
            handler=verdict.handler.name if verdict.handler else None,
            digest=verdict.handler.digest if verdict.handler else None,
            reason=verdict.reason,
            version=row.version if row else 0,
            state=row.state if row else None,
            content=row.content if row and row.content != shown_by(verdict.effects) else None,
            newest_at=row.newest_at if row else None,
            late=verdict.late,
            parks=verdict.parks,
            seen=_seen(verdict.seen),
            winners=verdict.added.winners,
            voters=verdict.added.voters,
            request_id=click.request_id if isinstance(click, RequestReceived) else None,
            open_id=None if isinstance(click, RequestReceived) else click.operator.open_id,
            occurred_at=click.occurred_at,
            decided_at=self.now,
            effects=verdict.effects,
            requests=tuple(request.event_id for request in verdict.requests),
        )

    # the write

    def write(self, positions: Mapping[int, int], topics: Topics, *, settle_ms: int = SETTLE_MS) -> Write:
        """Return the draft as one transaction, given the positions that the batch was read from."""
        return Write(
            moves=[
                Move(partition=p, expected=positions[p], next=last.record.offset + 1, last_id=last.id)
                for p, last in sorted(self._passed.items())
            ],
            claims=[_claim_row(claimed.decided, answered=key in self._marked) for key, claimed in self._claims.items()],
            cards=list(self._cards.values()),
            effects=[
                _effect_row(claimed, effect, self._marked.get(key), settle_ms, self.now)
                for key, claimed in self._claims.items()
                for effect in claimed.verdict.effects
            ],
            tokens=[
                token for claimed in self._claims.values() for token in rights(claimed.click, claimed.verdict.effects)
            ],
            marks=[
                Mark(app_id=mark.app_id, event_id=mark.event_id, message_id=mark.message_id, delivered=mark.delivered)
                for key, mark in self._marked.items()
                if key not in self._claims and mark.message_id
            ],
            dead_letters=[
                _dead_letter(claimed) for claimed in self._claims.values() if claimed.verdict.result == "failed"
            ],
            revived=[
                key
                for key, claimed in self._claims.items()
                if claimed.decided.redrive and claimed.verdict.result != "failed"
            ],
            suspensions=list(self._suspensions.values()),
            new_style_at=self._new_style_at(),
            tickets=self._tickets(),
            outbox=[
                # What a decision hands over is told before it: whoever has read the decision finds that, too.
                *(
                    NewRecord.of(topics.interactions, encode(request, traceparent=claimed.taken.traceparent))
                    for claimed in self._claims.values()
                    for request in claimed.verdict.requests
                ),
                *(NewRecord.of(topics.outcomes, claimed.told) for claimed in self._claims.values()),
                *(parked(taken.record, reason, topics.dead) for taken, reason in self.parked),
            ],
        )

    def _new_style_at(self) -> dict[AppId, EpochMs]:
        newest: dict[AppId, EpochMs] = {}
        for click in (claimed.click for claimed in self._claims.values()):
            if isinstance(click, InteractionReceived) and click.kind == "card_action":
                newest[click.app_id] = max(newest.get(click.app_id, 0), click.received_at)
        before = self._known.new_style_at
        return {app: at for app, at in newest.items() if at >= before.get(app, 0) + NEW_STYLE_MS}

    def _tickets(self) -> dict[AppId, AppTicket]:
        """Return the newest ticket of each store app, whatever else was decided about the events that brought them."""
        newest: dict[AppId, AppTicket] = {}
        for event in (claimed.click for claimed in self._claims.values()):
            if isinstance(event, InteractionReceived) and event.app_ticket is not None:
                ticket = AppTicket(ticket=Secret(event.app_ticket), at=event.received_at)
                newest[event.app_id] = max(newest.get(event.app_id, ticket), ticket, key=lambda one: one.at)
        return newest


def _delivery(click: Asked) -> DeliveryRef | None:
    key = _delivery_key(click)
    return DeliveryRef(click.app_id, key) if key else None


def _delivery_key(click: Asked) -> DeliveryKey | None:
    """Return what tells a second delivery; a request has its caller's own id for that."""
    return click.delivery_key if isinstance(click, InteractionReceived) else None


def _newest(before: EpochMs | None, click: Asked) -> EpochMs | None:
    """Return the time of the newest click, which nothing else is: no person's click is late because of a program."""
    if not isinstance(click, InteractionReceived):
        return before
    return click.occurred_at if before is None else max(before, click.occurred_at)


def _rules(row: CardRow | None, verdict: Verdict) -> Standings:
    before: Standings = row.rules if row else {}
    return before if verdict.handler is None else joined(before, verdict.handler.name, verdict.added)


def _seen(card: Card | None) -> CardSeen | None:
    if card is None:
        return None
    return CardSeen(version=card.version, chat_id=ChatId(card.chat_id) if card.chat_id else None, sent_at=card.sent_at)


def _claim_row(decided: Decided, *, answered: bool) -> ClaimRow:
    return ClaimRow(
        app_id=decided.app_id,
        event_id=decided.event_id,
        delivery_key=decided.delivery_key,
        result=decided.result,
        redrive=decided.redrive,
        handler=decided.handler,
        digest=decided.digest,
        reason=decided.reason,
        partition=decided.partition,
        offset=decided.offset,
        message_id=decided.message_id,
        open_id=decided.open_id,
        occurred_at=decided.occurred_at,
        late=decided.late,
        answered=answered,
    )


def _effect_row(
    claimed: _Claimed, planned: PlannedEffect, mark: InteractionAnswered | None, settle_ms: int, now: EpochMs
) -> NewEffect:
    """Return an effect's row; ``mark`` is its click's, if it was in the same batch."""
    click = claimed.click
    return NewEffect(
        app_id=click.app_id,
        event_id=click.event_id,
        index=planned.index,
        tenant_key=click.tenant_key,
        message_id=click.message_id,
        kind=type(planned.effect).__name__,
        target=planned.target,
        audience=planned.audience,
        coalesce=planned.coalesce,
        eligibility=planned.eligibility,
        order=planned.order,
        due_in_ms=_wait_ms(planned, mark, settle_ms, now),
        marked=mark is not None,
        delivered=mark.delivered if mark is not None else None,
        occurred_at=click.occurred_at,
        received_at=click.received_at,
        payload=_JSON.encode(planned.effect),
        traceparent=claimed.taken.traceparent,
    )


def _wait_ms(planned: PlannedEffect, mark: InteractionAnswered | None, settle_ms: int, now: EpochMs) -> int:
    if planned.due is not None:
        # Of a card that changes by what came back: the time of the mark, or one by which nobody waits for the answer.
        return max(0, planned.due - now + (settle_ms if planned.eligibility == "after_answer" else 0))
    if planned.eligibility == "at_once":
        return 0
    if mark is None:
        return UNANSWERED_MS
    # What was delivered with the answer is on the screen already.
    return 0 if mark.delivered and isinstance(planned.effect, AnsweredCard) else settle_ms


def _dead_letter(claimed: _Claimed) -> DeadLetter:
    handler, verdict, click = claimed.verdict.handler, claimed.verdict, claimed.click
    interaction, kind = claimed.kept
    return DeadLetter(
        app_id=click.app_id,
        event_id=click.event_id,
        handler=handler.name if handler else REQUEST if isinstance(click, RequestReceived) else ROUTING,
        reason=verdict.reason or "failed",
        interaction=interaction,
        kind=kind,
        message_id=click.message_id,
        offset=claimed.taken.record.offset,
        parks=verdict.parks,
    )
