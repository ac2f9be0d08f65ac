"""The breaker of an app: stops what cannot work, and never because of one card."""

import pytest

from shared.core.ids import ChatId, Target
from shared.feishu.codes import Verdict
from shared.feishu.openapi import PlatformError
from worker.platform.breaker import (
    CLOSED,
    LOOK_MS,
    Breaker,
    Closed,
    Open,
    Probing,
    after_call,
    failed,
    may_call,
    put_off_ms,
    retry_at,
    with_call,
)
from worker.platform.performed import Done, Failure, Found, NoToken, Rejected, Unreached, Unsure

CARD, OTHER, THIRD = Target("message:om_1"), Target("message:om_2"), Target("message:om_3")
ONE_FAILING = Closed(failing=frozenset({CARD}))
OPEN = Open(until=1_500, pause_ms=500)


def test_calls_are_made_as_long_as_the_platform_answers() -> None:
    """A closed breaker lets everything pass and stays as it is."""
    assert may_call(CLOSED, now=0)
    assert CLOSED == with_call(CLOSED, now=0)
    assert CLOSED == after_call(CLOSED, Done(http_status=200), target=CARD, now=0)
    assert retry_at(CLOSED) is None


def test_a_connection_that_cannot_be_made_opens_it_at_once() -> None:
    """Every other call would fail alike."""
    assert OPEN == failed(CLOSED, target=None, now=1_000)


def test_one_card_that_always_fails_never_opens_it() -> None:
    """However often it fails."""
    breaker: Breaker = CLOSED
    for now in range(100):
        breaker = failed(breaker, target=CARD, now=now)
    assert Closed(failing=frozenset({CARD})) == breaker


def test_three_targets_failing_in_a_row_open_it() -> None:
    """By then it is not about any one of them."""
    breaker = failed(failed(CLOSED, target=CARD, now=1), target=OTHER, now=2)
    assert may_call(breaker, now=2)
    assert OPEN == failed(breaker, target=THIRD, now=1_000)


def test_a_good_answer_in_between_clears_what_failed_before() -> None:
    """Failures have to come in a row."""
    breaker = failed(failed(CLOSED, target=CARD, now=1), target=OTHER, now=2)
    assert CLOSED == after_call(breaker, Done(http_status=200), target=CARD, now=3)


def test_nothing_is_called_before_the_pause_is_over() -> None:
    """And what was under way when it opened changes nothing."""
    assert not may_call(OPEN, now=1_499)
    assert retry_at(OPEN) == 1_500
    assert OPEN == failed(OPEN, target=None, now=1_200)


def test_one_probe_is_let_through_after_the_pause() -> None:
    """The next one waits for it, or for a lease's time if it never comes back."""
    assert may_call(OPEN, now=1_500)
    probing = with_call(OPEN, now=1_500)
    assert Probing(until=11_500, pause_ms=500) == probing
    assert not may_call(probing, now=11_499)
    assert may_call(probing, now=11_500)


def test_the_others_do_not_sleep_through_a_good_probe() -> None:
    """Until the pause is over there is nothing to wait for; then an answer may come at any moment."""
    probing = with_call(OPEN, now=1_500)
    assert [0, 400] == [put_off_ms(CLOSED, now=0), put_off_ms(OPEN, now=1_100)]
    assert [LOOK_MS, 100, 0] == [put_off_ms(probing, now=now) for now in (1_500, 11_400, 11_600)]


def test_a_good_probe_closes_it() -> None:
    """All is well again."""
    assert CLOSED == after_call(with_call(OPEN, now=1_500), Done(http_status=200), target=CARD, now=1_600)


def test_each_failing_probe_doubles_the_pause_up_to_half_a_minute() -> None:
    """A long outage is asked about rarely, its end is noticed soon."""
    breaker: Breaker = OPEN
    pauses = []
    for _ in range(8):
        breaker = failed(with_call(breaker, now=0), target=CARD, now=0)
        pauses.append(retry_at(breaker))
    assert [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] == pauses


def _error(verdict: Verdict, *, code: int | None = 1, status: int = 400) -> PlatformError:
    return PlatformError(code=code, http_status=status, verdict=verdict)


@pytest.mark.parametrize(
    "answer",
    [
        Done(http_status=200),
        Found(chat_id=ChatId("oc_1")),
        Rejected(error=_error("target_final")),
        Rejected(error=_error("configuration")),
        Rejected(error=_error("rate_limit", code=None, status=429)),
        Unsure(error=_error("retry")),
        Unsure(error=PlatformError(code=None, http_status=200, verdict="retry", too_long=True)),
    ],
)
def test_whatever_the_platform_itself_says_is_an_answer(answer: Done | Found | Failure) -> None:
    """Bad news about one card is good news about the connection."""
    assert CLOSED == after_call(ONE_FAILING, answer, target=OTHER, now=0)


@pytest.mark.parametrize(
    "failure",
    [
        Unsure(reason="no answer within 5 s"),
        Unsure(error=_error("retry", status=500)),
        Unsure(error=_error("retry", code=None, status=200)),
        Rejected(error=_error("configuration", code=None, status=403)),
        NoToken(error=_error("refresh_token"), refused=True),
    ],
)
def test_a_failure_that_may_be_the_targets_own_is_held_against_it(failure: Failure) -> None:
    """A server error, silence, a page of some proxy's, a token that is refused: others have to confirm it."""
    assert ONE_FAILING == after_call(CLOSED, failure, target=CARD, now=0)


@pytest.mark.parametrize("failure", [Unreached(reason="refused"), NoToken(error=_error("configuration"))])
def test_a_failure_of_the_whole_app_opens_it(failure: Failure) -> None:
    """No connection and no token concern every target alike."""
    assert OPEN == after_call(CLOSED, failure, target=CARD, now=1_000)


@pytest.mark.parametrize("breaker", [CLOSED, ONE_FAILING, OPEN])
def test_one_organisation_without_a_token_moves_nothing(breaker: Breaker) -> None:
    """Nor does a ticket that is waited for: the platform is not away, and other organisations' calls go on."""
    error = PlatformError(code=10013, http_status=400, verdict="configuration")
    assert breaker == after_call(breaker, NoToken(error=error, of_app=False), target=CARD, now=1_000)
    assert OPEN == after_call(CLOSED, NoToken(error=error), target=CARD, now=1_000)
