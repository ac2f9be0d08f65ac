"""
What a batch has decided so far, on top of what the ledger knew: the value that one transaction will store.

Later records of a batch must see what earlier ones decided, so the draft answers the same questions as the
ledger and is asked instead of it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from shared.core.codec import encode, header
from shared.core.decision import Card
from shared.core.events import (
    Asked,
    CallReturned,
    Decided,
    InteractionAnswered,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.ids import ChatId, EventId
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import MAX_RECORD_BYTES, Topics
from worker.deciding.batch import Taken
from worker.deciding.fact import delivery_key_of, fact_of, next_row
from worker.deciding.suspension import after_miss, after_success
from worker.deciding.verdict import Verdict
from worker.deciding.write import Claimed, Held, as_write
from worker.ledger.decided import (
    CardKey,
    CardRow,
    ClaimKey,
    DeliveryRef,
    HandlerKey,
    Known,
    Redrivable,
    Suspension,
    Write,
)
from worker.ledger.leased import FaceRow

TOLD_BYTES: Final = MAX_RECORD_BYTES - 20_000
"""How large a `Decided` may be; its headers, with the ids of the platform's, need the rest."""


class Draft:
    """The batch's decisions, as one `Write` in the making."""

    def __init__(self, known: Known) -> None:
        self.now: EpochMs = known.now
        self.results: Counter[str] = Counter()
        self.marks = 0
        self._known = known
        self._passed: dict[int, Taken] = {}
        self._claims: dict[ClaimKey, Claimed] = {}
        self._deliveries: set[DeliveryRef] = set()
        self._cards: dict[CardKey, CardRow] = {}
        self._marked: dict[ClaimKey, InteractionAnswered] = {}
        self._suspensions: dict[HandlerKey, Suspension] = {}
        self._standing: dict[CardKey, list[EventId]] = {}
        self.parked: list[tuple[Taken, str]] = []
        self.misled: list[RedriveRequested] = []
        self.taken = 0

    @property
    def decisions(self) -> Iterator[tuple[Asked, Decided]]:
        """Its inputs, each with what was decided."""
        return ((claimed.asked, claimed.decided) for claimed in self._claims.values())

    @property
    def traced(self) -> Iterator[tuple[str | None, Decided]]:
        """What was decided about each input, with its record's ``traceparent``."""
        return ((claimed.taken.traceparent, claimed.decided) for claimed in self._claims.values())

    @property
    def requests(self) -> Iterator[RequestReceived]:
        """Updates of other cards that its decisions ask for."""
        return (request for claimed in self._claims.values() for request in claimed.verdict.requests)

    # questions

    def is_claimed(self, asked: Asked) -> bool:
        """Say whether this event, or this very delivery, was decided before."""
        key = ClaimKey(asked.app_id, asked.event_id)
        if key in self._claims or key in self._known.claims:
            return True
        delivery = _delivery(asked)
        return delivery is not None and (delivery in self._deliveries or delivery in self._known.deliveries)

    def face(self, asked: Asked) -> FaceRow | None:
        """Return what the platform has of the clicked card, as far as we know."""
        return self._known.faces.get(CardKey(asked.app_id, asked.message_id)) if asked.message_id else None

    def card(self, asked: Asked) -> Card | None:
        """Return the card for the handler; ``None`` when neither a decision nor a send of ours made it known."""
        row, face = self._row(asked), self.face(asked)
        own = face is not None and face.sent_at is not None
        if row is None and not own:
            return None
        return Card(
            version=row.version if row else 0,
            state_text=row.state if row else None,
            content_text=self.content(asked),
            chat_id=self.chat_of(asked),
            sent_at=face.sent_at if face else None,
            rules=row.rules if row else {},
        )

    def content(self, asked: Asked) -> JsonText | None:
        """Return what the card is intended to show so far, where that is known."""
        row, face = self._row(asked), self.face(asked)
        return (row.content if row else None) or (face.sent if face else None)

    def chat_of(self, asked: Asked) -> ChatId | None:
        """Return the card's chat: the callback's, else our own send's."""
        face = self.face(asked)
        told = None if isinstance(asked, RequestReceived) else asked.chat_id
        return told or (face.chat_id if face else None)

    def newest_at(self, asked: Asked) -> EpochMs | None:
        """Return the time of the card's newest decided click (ms)."""
        row = self._row(asked)
        return row.newest_at if row else None

    def answered_at(self, asked: Asked) -> EpochMs | None:
        """Return when the click was answered with which an input began, if a mark has said so (ms)."""
        if not isinstance(asked, CallReturned | TimerFired):
            return None
        key = ClaimKey(asked.app_id, asked.origin)
        return self.now if key in self._marked else self._known.answered.get(key)

    def redrivable(self, redrive: RedriveRequested) -> Redrivable | None:
        """Return the dead letter that is to be decided again; ``None``: it is none any more, or was redriven since."""
        key = ClaimKey(redrive.app_id, redrive.event_id)
        found = None if key in self._claims else self._known.redrivable.get(key)
        return found if found is not None and found.redrive < redrive.n else None

    def waits_for(self, asked: Asked) -> EventId | None:
        """Return the input that must be decided before any other of a card that stands still."""
        waiting = self._standing_on(asked)
        return waiting[0] if waiting else None

    def _standing_on(self, asked: Asked) -> list[EventId]:
        if asked.message_id is None:
            return []
        key = CardKey(asked.app_id, asked.message_id)
        return self._standing.setdefault(key, list(self._known.standing.get(key, ())))

    def suspension(self, handler: HandlerKey) -> Suspension | None:
        """Return the handler's record of missed deadlines, if it has one."""
        return self._suspensions.get(handler) or self._known.suspensions.get(handler)

    def _row(self, asked: Asked) -> CardRow | None:
        if asked.message_id is None:
            return None
        key = CardKey(asked.app_id, asked.message_id)
        return self._cards.get(key) or self._known.cards.get(key)

    # decisions

    def claim(self, taken: Taken, asked: Asked, verdict: Verdict) -> None:
        """Take a verdict in: the claim, the card's new row, the `Decided` fact."""
        self._take_in(taken, asked, verdict, (taken.record.value, header(taken.record.headers, "ce_type") or ""))

    def redecide(self, taken: Taken, asked: Asked, verdict: Verdict, letter: Redrivable, n: int) -> None:
        """Take in the verdict on an input that failed before, in its nth redrive."""
        self._take_in(taken, asked, verdict, (letter.interaction, letter.kind), redrive=n)

    def _take_in(
        self, taken: Taken, asked: Asked, verdict: Verdict, kept: tuple[bytes, str], *, redrive: int = 0
    ) -> None:
        claimed, row = self._claimed(taken, asked, verdict, kept, redrive)
        if len(claimed.told.value) > TOLD_BYTES:
            # State and card of earlier decisions count too, so only the whole can be judged.
            refused = Verdict(result="failed", reason="decided more than the log takes", handler=verdict.handler)
            claimed, row = self._claimed(taken, asked, refused, kept, redrive)
        if delivery := _delivery(asked):
            self._deliveries.add(delivery)
        if row is not None:
            self._cards[CardKey(row.app_id, row.message_id)] = row
        self._claims[ClaimKey(asked.app_id, asked.event_id)] = claimed
        self.results[claimed.verdict.result] += 1
        self._note_standing(asked, claimed.verdict)

    def _note_standing(self, asked: Asked, verdict: Verdict) -> None:
        waiting = self._standing_on(asked)
        if verdict.parks and asked.event_id not in waiting:
            waiting.append(asked.event_id)
        elif not verdict.parks and asked.event_id in waiting:
            waiting.remove(asked.event_id)

    def _claimed(
        self, taken: Taken, asked: Asked, verdict: Verdict, kept: tuple[bytes, str], redrive: int
    ) -> tuple[Claimed, CardRow | None]:
        row = next_row(self._row(asked), asked, verdict)
        decided = fact_of(taken, asked, verdict, row, redrive=redrive, now=self.now)
        told = encode(decided, traceparent=taken.traceparent)
        return Claimed(taken=taken, kept=kept, asked=asked, verdict=verdict, decided=decided, told=told), row

    def mark(self, mark: InteractionAnswered) -> None:
        """Note a mark; the first of an event counts."""
        self.marks += 1
        self._marked.setdefault(ClaimKey(mark.app_id, mark.event_id), mark)

    def skip(self) -> None:
        """Note a duplicate: nothing is written for it."""
        self.results["duplicate"] += 1

    def mislead(self, redrive: RedriveRequested) -> None:
        """Note a redrive that names another card than its input: nothing is written for it, and it stays a letter."""
        self.skip()
        self.misled.append(redrive)

    def park(self, taken: Taken, reason: str) -> None:
        """Park a record: put it aside, bytes untouched."""
        self.results["parked"] += 1
        self.parked.append((taken, reason))

    def missed(self, handler: HandlerKey) -> None:
        """Note a missed deadline of a handler."""
        standing = self.suspension(handler) or Suspension(app_id=handler.app_id, handler=handler.handler)
        self._suspensions[handler] = after_miss(standing, self.now)

    def kept(self, handler: HandlerKey) -> None:
        """Note that a handler came back in time."""
        standing = self.suspension(handler)
        if standing is not None and standing.misses:
            self._suspensions[handler] = after_success(standing)

    def passed(self, taken: Taken) -> None:
        """Note that the batch is decided up to and including this record."""
        self._passed[taken.record.partition] = taken
        self.taken += 1

    # the write

    def write(self, positions: Mapping[int, int], topics: Topics, *, settle_ms: int) -> Write:
        """Return the draft as one transaction, given the positions that the batch was read from."""
        held = Held(
            now=self.now,
            passed=self._passed,
            claims=self._claims,
            cards=self._cards,
            marked=self._marked,
            suspensions=self._suspensions,
            parked=self.parked,
            new_style_at=self._known.new_style_at,
        )
        return as_write(held, positions, topics, settle_ms=settle_ms)


def _delivery(asked: Asked) -> DeliveryRef | None:
    key = delivery_key_of(asked)
    return DeliveryRef(asked.app_id, key) if key else None
