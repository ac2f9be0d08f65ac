"""When so much fails that deciding stops."""

from collections.abc import Sequence

import pytest

from shared.core.events import ClaimResult, Decided
from shared.core.ids import AppId, EventId, MessageId, TenantKey
from worker.deciding.failing import FEW_CARDS, WINDOW, Failing


def decided(number: int, result: ClaimResult, *, reason: str | None = None, redrive: int = 0) -> Decided:
    """Return a decision about the card of this number."""
    return Decided(
        event_id=EventId(f"e{number}"),
        app_id=AppId("cli_a"),
        tenant_key=TenantKey("t"),
        message_id=MessageId(f"om_{number}"),
        partition=0,
        offset=number,
        result=result,
        reason=reason,
        redrive=redrive,
        occurred_at=1,
        decided_at=1,
    )


def after(decisions: Sequence[Decided], *, share: int = 50) -> Failing:
    """Return what is known after these decisions."""
    failing = Failing(share)
    failing.note(decisions)
    return failing


def test_a_broken_deploy_stops_deciding_after_a_few_cards() -> None:
    """Not a day later."""
    assert not after([decided(n, "failed") for n in range(FEW_CARDS - 1)]).is_too_much
    assert after([decided(n, "failed") for n in range(FEW_CARDS)]).is_too_much


def test_a_card_that_always_fails_stops_no_other() -> None:
    """It counts once, however often it is pressed."""
    assert not after([decided(1, "failed")] * WINDOW).is_too_much


@pytest.mark.parametrize(("failed", "stops"), [(49, False), (50, True)])
def test_the_share_is_taken_of_the_newest_cards(*, failed: int, stops: bool) -> None:
    """Half of them, unless set otherwise."""
    decisions = [decided(n, "failed" if n < failed else "decided") for n in range(100)]
    assert stops == after(decisions).is_too_much


def test_what_failed_long_ago_is_forgotten() -> None:
    """A window of the newest decisions is looked at."""
    decisions = [*(decided(n, "failed") for n in range(100)), *(decided(n, "decided") for n in range(100, 300))]
    failing = after(decisions)
    assert (0, 200) == failing.share
    assert failing.room is None


def test_without_a_share_nothing_stops() -> None:
    """0 is for those who look after it otherwise."""
    failing = after([decided(n, "failed") for n in range(WINDOW)], share=0)
    assert (False, None) == (failing.is_too_much, failing.room)


@pytest.mark.parametrize(
    "decision",
    [
        decided(1, "ignored"),
        decided(1, "twin"),
        decided(1, "failed", reason="parked"),
        decided(1, "failed", reason="unknown_app"),
        decided(1, "failed", redrive=1),
    ],
    ids=["ignored", "twin", "parked", "unknown app", "redriven"],
)
def test_what_no_handler_decided_for_the_first_time_is_left_out(decision: Decided) -> None:
    """It says nothing about a deploy."""
    assert (0, 0) == after([decision]).share


def test_until_all_has_been_well_for_a_while_few_records_are_decided_at_a_time() -> None:
    """So a batch of thousands does not fail before anybody has looked."""
    assert WINDOW == Failing().room
    assert WINDOW == after([decided(n, "decided") for n in range(WINDOW - 1)]).room
    assert WINDOW == after([decided(n, "failed" if n < WINDOW // 4 else "decided") for n in range(WINDOW)]).room
    assert after([decided(n, "failed" if n == 0 else "decided") for n in range(WINDOW)]).room is None
