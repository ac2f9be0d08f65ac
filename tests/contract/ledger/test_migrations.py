"""What an older program wrote, after all migrations (worker/ledger/migrations)."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.contract.ledger.words import APP, CARD, Opener
from tests.support import old_ledgers
from tests.support.dump import dump
from worker.ledger.decided import EVERY_APP, CardKey, Suspension, Wanted

MANY = 1_100
"""More dead letters than are held in memory at a time."""

KEPT: dict[str, Any] = {"message_id": CARD, "operator": {"open_id": "ou_1"}, "occurred_at": 7}


def claim(event: str, offset: int, result: str = "failed") -> Mapping[str, Any]:
    """Return the row of a claim, as of schema 0002."""
    return {
        "app_id": APP,
        "event_id": event,
        "result": result,
        "redrive": 0,
        "partition": 3,
        "offset": offset,
        "claimed_at": 9,
    }


def letter(event: str, interaction: bytes) -> Mapping[str, Any]:
    """Return the row of a dead letter, as of schema 0002."""
    return {
        "app_id": APP,
        "event_id": event,
        "handler": "follow_up",
        "reason": "ValueError",
        "interaction": interaction,
        "died_at": 9,
    }


async def test_dead_letters_of_schema_0002_know_their_card_and_their_turn(empty_url: str, opened: Opener) -> None:
    """However many there are; they are listed, and so redriven, as they lie in the log."""
    events = [f"e{n:04}" for n in range(MANY)]
    offsets = {event: MANY - at for at, event in enumerate(events)}
    await old_ledgers.make(
        empty_url,
        "0002",
        {
            "claims": [claim(event, offsets[event]) for event in events],
            "dead_letters": [letter(event, json.dumps(KEPT).encode()) for event in events],
        },
    )
    ledger = opened(empty_url)
    await ledger.upgrade()
    found = await ledger.failures.inputs()
    assert {CARD} == {one.message_id for one in found}
    assert events[::-1] == [one.event_id for one in found]
    claims = {
        (row["message_id"], row["open_id"], row["occurred_at"], row["late"])
        for row in (await dump(ledger.database)).claims
    }
    assert {(CARD, "ou_1", 7, False)} == claims


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        pytest.param(b'{"message_id":"om_1","occurred_at":7}', ("om_1", None, 7), id="a request"),
        pytest.param(b'{"operator":{},"occurred_at":7}', (None, None, 7), id="of no card"),
        pytest.param(b'{"message_id":"om\\u0000","operator":3,"occurred_at":1e999}', (None, None, None), id="odd"),
        pytest.param(b'{"occurred_at":9223372036854775808}', (None, None, None), id="out of time"),
        pytest.param(b"[]", (None, None, None), id="of another shape"),
        pytest.param(b"\xff{", (None, None, None), id="unreadable"),
    ],
)
async def test_what_a_kept_record_does_not_say_stays_unknown(
    empty_url: str, opened: Opener, kept: bytes, told: tuple[str | None, str | None, int | None]
) -> None:
    """Nothing that was kept hinders an upgrade."""
    await old_ledgers.make(empty_url, "0002", {"claims": [claim("e1", 4)], "dead_letters": [letter("e1", kept)]})
    ledger = opened(empty_url)
    await ledger.upgrade()
    (row,) = (await dump(ledger.database)).claims
    assert told == (row["message_id"], row["open_id"], row["occurred_at"])
    assert [told[0]] == [one.message_id for one in await ledger.failures.inputs()]


async def test_what_was_decided_and_not_kept_is_as_it_was(empty_url: str, opened: Opener) -> None:
    """Its claim says nothing new, and its card is the one that was decided."""
    card = {"app_id": APP, "message_id": CARD, "version": 4, "state": b"3", "content": b"{}", "newest_at": 5}
    await old_ledgers.make(empty_url, "0002", {"claims": [claim("e1", 4, "decided")], "cards": [card]})
    ledger = opened(empty_url)
    await ledger.upgrade()
    (row,) = (await dump(ledger.database)).claims
    assert ("decided", None, None, None) == (row["result"], row["message_id"], row["occurred_at"], row["late"])
    known = await ledger.read(Wanted(claims=(), deliveries=(), cards=[CardKey(APP, CARD)], apps=()))
    assert (4, "3") == (known.cards[CardKey(APP, CARD)].version, known.cards[CardKey(APP, CARD)].state)


async def test_suspensions_of_schema_0017_know_their_app(empty_url: str, opened: Opener) -> None:
    """It was glued before the handler's name; but a name that has a slash of its own is nobody's app."""
    counted = {"misses": 3, "until": 11, "pause_ms": 60_000, "recent": 1, "since": 7}
    filed = ("follow_up", f"{APP}/follow_up", f"{APP}/alerts/late", "alerts/late", "/", "(routing)")
    of_then = {**claim("e1", 4), "answered_at": None}
    rows = {"claims": [of_then], "suspensions": [{"handler": handler, **counted} for handler in filed]}
    await old_ledgers.make(empty_url, "0017", rows)
    ledger = opened(empty_url)
    await ledger.upgrade()
    known = (await ledger.read(Wanted(claims=(), deliveries=(), cards=(), apps=()))).suspensions
    whose = [(APP, "follow_up"), (APP, "alerts/late")]
    shared = [(EVERY_APP, handler) for handler in ("follow_up", "alerts/late", "/", "(routing)")]
    assert {
        (app_id, handler): Suspension(app_id=app_id, handler=handler, **counted)
        for app_id, handler in [*whose, *shared]
    } == known


async def test_a_ledger_without_suspensions_is_brought_up_to_date(empty_url: str, opened: Opener) -> None:
    """As most are."""
    await old_ledgers.make(empty_url, "0017", {})
    ledger = opened(empty_url)
    await ledger.upgrade()
    assert {} == (await ledger.read(Wanted(claims=(), deliveries=(), cards=(), apps=()))).suspensions
