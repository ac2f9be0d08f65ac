"""
Stage one: decide a batch.

The spine is pure: facts and what the ledger knows go in, one `Draft` comes out, which the ledger stores in one
transaction. User code is called through ``call``, which the thread runner provides (`worker.deciding.handlers`);
replaying recorded decisions works the same way.
"""

from collections.abc import Collection, Mapping
from typing import assert_never

from shared.app.app import App
from shared.core.callers import NOBODY, Callers
from shared.core.codec import decode
from shared.core.errors import Undecodable
from shared.core.events import (
    Asked,
    CallReturned,
    Event,
    InteractionAnswered,
    InteractionReceived,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from worker.deciding.batch import Batch, Taken
from worker.deciding.draft import Draft
from worker.deciding.judge import Call, Judge, Place
from worker.ledger.decided import Known, Redrivable


def decide(
    batch: Batch,
    known: Known,
    apps: Mapping[AppId, App],
    call: Call,
    *,
    callers: Callers = NOBODY,
    stores: Collection[AppId] = frozenset(),
    gives_up: str | None = None,
) -> Draft:
    """
    Decide the batch in log order, or its first part if handlers took too long.

    Args:
        apps: Each app's handlers, which decide its clicks.
        callers: Who may ask for what.
        stores: Apps that have more organisations than one.
        gives_up: Why what is decided of the batch's inputs cannot be kept, if it cannot: then they fail, and that is
            all.
    """
    draft = Draft(known)
    is_shared = len({id(app) for app in apps.values()}) == 1
    judge = Judge(
        draft=draft,
        new_style=_new_style(batch, known),
        apps=apps,
        call=call,
        is_shared=is_shared,
        callers=callers,
        stores=stores,
        gives_up=gives_up,
    )
    for taken in batch.taken:
        if call.spent:
            break
        match taken.fact:
            case Undecodable() as bad:
                draft.park(taken, str(bad))
            case InteractionAnswered() as mark:
                draft.mark(mark)
            case RedriveRequested() as redrive:
                _redecide(taken, redrive, draft, judge)
            case InteractionReceived() | CallReturned() | TimerFired() | RequestReceived() as asked if draft.is_claimed(
                asked
            ):
                draft.skip()
            case InteractionReceived() as click:
                draft.claim(taken, click, judge.on_interaction(click, Place(offset=taken.record.offset)))
            case CallReturned() | TimerFired() as told:
                draft.claim(taken, told, judge.by_handler(told, Place(offset=taken.record.offset)))
            case RequestReceived() as request:
                draft.claim(taken, request, judge.on_request(request, taken.record.offset))
            case _ as unreachable:
                assert_never(unreachable)
        draft.passed(taken)
    return draft


def _redecide(taken: Taken, redrive: RedriveRequested, draft: Draft, judge: Judge) -> None:
    """Decide an input again that failed, if it still is one: from what was kept of it, once for each redrive."""
    letter = draft.redrivable(redrive)
    kept = None if letter is None else _kept(letter)
    place = Place(offset=taken.record.offset, first=letter.offset if letter is not None else None)
    if isinstance(kept, Asked) and kept.message_id != redrive.message_id:
        # What the ledger was asked for is not its card, which may be another worker's: it would begin anew.
        draft.mislead(redrive)
        return
    match kept:
        case InteractionReceived() | CallReturned() | TimerFired() if letter is not None:
            # Not `on_interaction`: its rules were asked when the click came, and what they refuse is no dead letter.
            # They are of that time, too: the newest callback of the app, by which a twin is known, is another now.
            draft.redecide(taken, kept, judge.by_handler(kept, place), letter, redrive.n)
        case RequestReceived() if letter is not None:
            draft.redecide(taken, kept, judge.on_request(kept, place.offset), letter, redrive.n)
        case _:
            draft.skip()


def _kept(letter: Redrivable) -> Event | None:
    try:
        return decode([("ce_type", letter.kind.encode())], letter.interaction)
    except Undecodable:
        return None  # Of a newer program: it stays a dead letter.


def _new_style(batch: Batch, known: Known) -> dict[AppId, EpochMs]:
    """Return each app's newest new-style callback, known or in this batch (before or after its twin)."""
    newest = dict(known.new_style_at)
    for taken in batch.taken:
        if isinstance(taken.fact, InteractionReceived) and taken.fact.kind == "card_action":
            newest[taken.fact.app_id] = max(newest.get(taken.fact.app_id, 0), taken.fact.received_at)
    return newest
