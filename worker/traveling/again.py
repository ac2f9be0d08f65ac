"""
One input decided again: by the worker's own decider, on the card of the travelled world.

What handlers decide is decided anew. What only the world around them could tell is as it was recorded: whether a click
was another one's twin, how old its card was, in which chat; and which requests their callers might make.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from shared.app.app import App
from shared.core.codec import header
from shared.core.events import COMMAND_LINE, Asked, Decided, RedriveRequested, RequestReceived
from shared.core.folded import ROUTING
from shared.core.ids import AppId
from shared.eventlog.port import Record
from worker.deciding.batch import Batch, Taken
from worker.deciding.decide import decide
from worker.deciding.grant import UNKNOWN_APP, UNKNOWN_CALLER
from worker.deciding.handlers import Undecided
from worker.deciding.judge import Call
from worker.deciding.suspension import MISSES
from worker.ledger.decided import EVERY_APP, CardKey, ClaimKey, HandlerKey, Known, Redrivable, Suspension
from worker.ledger.leased import FaceRow
from worker.traveling.card import CardThen, row_of
from worker.traveling.cards import Failed
from worker.traveling.words import SILENCE, Words

EXPIRED: Final = "expired"

FOR_GOOD: Final = 1 << 62
"""A time (ms) that does not come."""

_AROUND: Final = frozenset({"deadline", "suspended", UNKNOWN_APP, UNKNOWN_CALLER})
"""Why inputs fail that no handler has decided, whatever its code."""

_UNFIT: Final = ("could not be decided: ", "the database refuses ")
"""What the reasons begin with of those that were given up."""


def is_of_the_world(decided: Decided) -> bool:
    """
    Say whether it was no handler that brought a result about.

    A twin; a click on an expired card; a request that was refused; what failed because a handler hung, was suspended or
    unknown, or because the decision could not be stored. It stays as recorded: nobody can say what would have been.
    """
    match decided.result:
        case "twin":
            return True
        case "refused":
            return decided.reason == EXPIRED or decided.request_id is not None
        case "failed":
            reason = decided.reason or ""
            return reason in _AROUND or reason.startswith(_UNFIT) or decided.request_id is not None
        case _:
            return False


def seen_face(fact: Asked | RedriveRequested, decided: Decided, words: Words) -> FaceRow | None:
    """Return what the ledger had known of an input's card when it was decided; ``None`` where that changes nothing."""
    if fact.message_id is None:
        return None
    if decided.seen is not None:
        chat_id, sent_at = decided.seen.chat_id, decided.seen.sent_at
    else:
        chat_id = words.chat_id if words.chat_known_at <= decided.decided_at else None
        # A handler that was shown no card was not told of a send either.
        was_shown_none = decided.result in {"decided", "counted"} and decided.handler is not None
        known = not was_shown_none and words.sent_known_at <= decided.decided_at
        sent_at = words.sent_at if known else None
    told = None if isinstance(fact, RequestReceived | RedriveRequested) else fact.chat_id
    if sent_at is None and (chat_id is None or chat_id == told):
        return None
    return FaceRow(
        app_id=fact.app_id,
        message_id=fact.message_id,
        chat_id=chat_id,
        sent_at=sent_at,
        sent=None if sent_at is None else words.sent,
    )


@dataclass(frozen=True, slots=True)
class Ours:
    """What is decided about an input now, and the updates of other cards that it asks for."""

    decided: Decided
    requests: tuple[RequestReceived, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """
    Decides inputs again.

    Attributes:
        app_of: The handlers of an app; ``None``: they were not given.
        call: Calls user code.
        _misses: Of the handlers of each `App`, which apps may share. An input is decided with its own alone, so there
            they are every app's.
    """

    app_of: Callable[[AppId], App | None]
    call: Call
    _misses: dict[App, dict[HandlerKey, Suspension]] = field(default_factory=dict)

    def __call__(
        self,
        record: Record,
        fact: Asked | RedriveRequested,
        recorded: Decided,
        card: CardThen,
        *,
        words: Words = SILENCE,
        failed: Failed | None = None,
    ) -> Ours | None:
        """
        Return what is decided about an input now; ``None``: nothing, since it has been decided.

        Args:
            record: The input's, and `fact` what it says.
            recorded: What was decided about it.
            card: Its card in the travelled world.
            failed: The input that is decided once more, where the fact is a redrive.
        """
        app = self.app_of(fact.app_id)
        apps: Mapping[AppId, App] = {} if app is None else {fact.app_id: app}
        taken = Taken(record=record, fact=_granted(fact))
        known = self._known(fact, recorded, card, words, failed)
        if app is not None and (missed := self._misses.get(app)):
            known = replace(known, suspensions=missed)
        try:
            draft = decide(Batch(taken=(taken,)), known, apps, self.call)
        except Exception as error:  # noqa: BLE001 - as the worker takes it: the input fails, and that is all
            reason = str(Undecided(error))
            draft = decide(Batch(taken=(taken,)), known, apps, self.call, gives_up=reason)
        decided = next((one for _, one in draft.decisions), None)
        if decided is None:
            return None
        if app is not None and decided.reason == "deadline":
            self._missed(app, decided.handler or ROUTING)
        return Ours(decided, tuple(draft.requests) if decided.requests else ())

    def _missed(self, app: App, handler: str) -> None:
        """Leave a handler alone for good that hangs again and again: each time costs seconds."""
        missed, key = self._misses.setdefault(app, {}), HandlerKey(EVERY_APP, handler)
        misses = missed[key].misses + 1 if key in missed else 1
        until = FOR_GOOD if misses >= MISSES else 0
        missed[key] = Suspension(app_id=EVERY_APP, handler=handler, misses=misses, until=until)

    def _known(
        self, fact: Asked | RedriveRequested, recorded: Decided, card: CardThen, words: Words, failed: Failed | None
    ) -> Known:
        redrivable = {} if failed is None else _redrivable(fact, recorded, failed)
        if fact.message_id is None:
            return Known(now=recorded.decided_at, redrivable=redrivable)
        key = CardKey(fact.app_id, fact.message_id)
        row, face = row_of(card, key), seen_face(fact, recorded, words)
        return Known(
            now=recorded.decided_at,
            cards={} if row is None else {key: row},
            faces={} if face is None else {key: face},
            standing={key: card.parked} if card.parked else {},
            redrivable=redrivable,
        )


def kept_of(record: Record, fact: Asked, *, is_ours: bool) -> Failed:
    """Return an input that failed as it is kept."""
    value = msgspec.json.encode(_granted(fact)) if isinstance(fact, RequestReceived) else record.value
    kind = header(record.headers, "ce_type") or ""
    return Failed(kind=kind, value=value, offset=record.offset, is_ours=is_ours)


def _granted(fact: Asked | RedriveRequested) -> Asked | RedriveRequested:
    """Return a request as one that may be made: the record says that it was."""
    return msgspec.structs.replace(fact, caller=COMMAND_LINE) if isinstance(fact, RequestReceived) else fact


def _redrivable(fact: Asked | RedriveRequested, recorded: Decided, failed: Failed) -> Mapping[ClaimKey, Redrivable]:
    key = ClaimKey(fact.app_id, fact.event_id)
    again = Redrivable(redrive=recorded.redrive - 1, interaction=failed.value, kind=failed.kind, offset=failed.offset)
    return {key: again}
