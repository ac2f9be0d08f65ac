"""What follows a failed attempt."""

from dataclasses import replace

import pytest

from shared.core.effects import CallApi, FetchChat, FetchMessage, PlatformEffect, RenameChat, UpdateCard
from shared.core.ids import AppId, EventId, MessageId, Target, TenantKey
from shared.core.json_text import EpochMs
from shared.feishu.codes import CODES, Verdict
from shared.feishu.openapi import PlatformError
from worker.ledger.leased import FaceRow, Head
from worker.performing.retry import (
    MAX_ATTEMPTS,
    GiveUp,
    Next,
    RetryIn,
    after,
    api_pause_ms,
    came_too_long,
    counts,
    last_attempt_at,
)
from worker.platform.performed import Failure, NoToken, Rejected, Unreached, Unsure

DAY = 86_400_000
DECIDED_AT = 1_750_000_000_000
CARD = UpdateCard({"schema": "2.0"})


def _error(
    verdict: Verdict, *, code: int | None = 1, status: int = 400, retry_after_ms: int | None = None
) -> PlatformError:
    return PlatformError(code=code, http_status=status, verdict=verdict, retry_after_ms=retry_after_ms)


HTML_400 = Unsure(error=_error("retry", code=None))
HTML_200 = Unsure(error=_error("retry", code=None, status=200))
PROXY_403 = Rejected(error=_error("configuration", code=None, status=403))
LONG_200 = Unsure(error=PlatformError(code=None, http_status=200, verdict="retry", too_long=True))
LONG_502 = Unsure(error=PlatformError(code=None, http_status=502, verdict="retry", too_long=True))
INTERNAL_500 = Unsure(error=_error("retry", code=2200, status=500))
INTERNAL_400 = Unsure(error=_error("retry", code=2200))
LIMITED = Rejected(error=_error("rate_limit", code=99991400, status=429, retry_after_ms=3_000))
TIMEOUT = Unsure(reason="no answer within 5 s")
REFUSED = Unreached(reason="ClientConnectorError")
WRONG_SECRET = NoToken(error=_error("configuration", code=10014))


def _next(
    failure: Failure, *, failures: int = 1, attempts: int = 1, chance: float = 0.999_999, left_ms: int = DAY
) -> Next:
    return after(
        failure,
        failures=failures,
        attempts=attempts,
        now=DECIDED_AT,
        last_at=DECIDED_AT + left_ms,
        chance=lambda: chance,
    )


def test_the_wait_doubles_from_half_a_second_to_a_minute() -> None:
    """The longest that may be drawn, after each failure."""
    longest = [_next(REFUSED, failures=failures) for failures in range(1, 10)]
    seconds = [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert [RetryIn(delay_ms=round(wait * 1000)) for wait in seconds] == longest


@pytest.mark.parametrize(("chance", "delay_ms"), [(0.0, 0), (0.25, 4_000), (0.5, 8_000)])
def test_the_wait_is_drawn_evenly_from_nothing(chance: float, delay_ms: int) -> None:
    """Those who failed together come back one by one."""
    assert RetryIn(delay_ms=delay_ms) == _next(REFUSED, failures=6, chance=chance)


def test_a_thousand_failures_wait_no_longer_than_a_minute() -> None:
    """Nothing grows for ever."""
    assert RetryIn(delay_ms=60_000) == _next(REFUSED, failures=1_000)


@pytest.mark.parametrize("code", [code for code, row in CODES.items() if row.verdict == "target_final"])
def test_what_the_platform_will_never_do_is_final(code: int) -> None:
    """Every such row of the table, at the first answer."""
    assert GiveUp(reason="platform_refused") == _next(Rejected(error=_error("target_final", code=code)))


def test_what_an_operator_has_to_mend_is_final() -> None:
    """It is kept as a dead letter and can be sent again."""
    assert GiveUp(reason="configuration") == _next(Rejected(error=_error("configuration", code=99991672)))


@pytest.mark.parametrize("failure", [PROXY_403, WRONG_SECRET, REFUSED, TIMEOUT, HTML_200, INTERNAL_500, LIMITED])
def test_what_is_not_about_the_target_is_tried_however_often(failure: Failure) -> None:
    """For a day, and using up no attempt."""
    assert not counts(failure)
    assert isinstance(_next(failure, failures=10_000, attempts=MAX_ATTEMPTS), RetryIn)


@pytest.mark.parametrize(
    "failure", [INTERNAL_400, HTML_400, Rejected(error=_error("target_final")), Rejected(error=_error("configuration"))]
)
def test_an_answer_about_the_target_counts(failure: Failure) -> None:
    """Good or bad."""
    assert counts(failure)


def test_an_answer_that_nobody_understands_is_tried_eight_times() -> None:
    """It may be the card's content that some proxy dislikes."""
    assert RetryIn(delay_ms=32_000) == _next(HTML_400, failures=7, attempts=MAX_ATTEMPTS - 1)
    assert GiveUp(reason="out_of_attempts") == _next(HTML_400, failures=8, attempts=MAX_ATTEMPTS)


def test_what_the_platform_calls_passing_is_tried_for_a_day() -> None:
    """Its own word for it."""
    assert isinstance(_next(INTERNAL_400, failures=100, attempts=100), RetryIn)


@pytest.mark.parametrize(
    ("retry_after_ms", "delay_ms"), [(3_000, 3_000), (None, 1_000), (600_000, 600_000), (0, 1_000)]
)
def test_a_rate_limit_is_left_alone_for_as_long_as_the_platform_says(retry_after_ms: int | None, delay_ms: int) -> None:
    """A second where it does not say."""
    limited = Rejected(error=_error("rate_limit", retry_after_ms=retry_after_ms))
    assert RetryIn(delay_ms=delay_ms) == _next(limited, chance=0.0)


def test_a_call_that_never_takes_our_token_is_tried_eight_times() -> None:
    """Of a token that all calls are refused for, nothing counts: an app's trouble passes, or an operator mends it."""
    of_call = NoToken(error=_error("refresh_token"), refused=True, of_app=False)
    assert counts(of_call)
    assert isinstance(_next(of_call, failures=7, attempts=MAX_ATTEMPTS - 1), RetryIn)
    assert GiveUp(reason="out_of_attempts") == _next(of_call, failures=8, attempts=MAX_ATTEMPTS)
    of_app = NoToken(error=_error("refresh_token"), refused=True)
    assert not counts(of_app)
    assert isinstance(_next(of_app, failures=8, attempts=MAX_ATTEMPTS), RetryIn)


@pytest.mark.parametrize(("retry_after_ms", "delay_ms"), [(30_000, 30_000), (None, 1_000)])
def test_a_rate_limit_of_asking_for_tokens_is_left_alone_as_long(retry_after_ms: int | None, delay_ms: int) -> None:
    """It holds up no API, and uses up no attempt."""
    limited = NoToken(error=_error("rate_limit", retry_after_ms=retry_after_ms))
    assert (RetryIn(delay_ms=delay_ms), None) == (_next(limited, chance=0.0), api_pause_ms(limited))
    assert not counts(limited)


def test_a_rate_limit_that_stays_is_asked_about_less_and_less() -> None:
    """The back-off wins over a short reset."""
    assert RetryIn(delay_ms=16_000) == _next(LIMITED, failures=6)


def test_an_answer_that_is_too_long_to_read_is_not_asked_for_again_and_again() -> None:
    """It uses up attempts, as whatever answers so answers so again; a server error's page does not."""
    assert counts(LONG_200)
    assert isinstance(_next(LONG_200, attempts=MAX_ATTEMPTS - 1), RetryIn)
    assert GiveUp(reason="out_of_attempts") == _next(LONG_200, attempts=MAX_ATTEMPTS)
    assert not counts(LONG_502)


@pytest.mark.parametrize("effect", [FetchChat(), FetchMessage(), CallApi("POST", "/open-apis/im/v1/messages")])
def test_what_was_asked_for_and_is_too_long_to_read_was_done(effect: PlatformEffect) -> None:
    """A call must not be made once more for that; of an update, or behind a server error, nobody knows."""
    assert came_too_long(effect, LONG_200)
    assert not came_too_long(effect, LONG_502)
    assert not came_too_long(effect, HTML_200)
    assert not came_too_long(CARD, LONG_200)


@pytest.mark.parametrize("failure", [REFUSED, LIMITED, HTML_200, WRONG_SECRET])
def test_no_attempt_is_planned_beyond_the_horizon(failure: Failure) -> None:
    """The last one may start at the horizon itself."""
    wait = 3_000 if failure is LIMITED else 500
    assert RetryIn(delay_ms=wait) == _next(failure, left_ms=wait)
    assert GiveUp(reason="out_of_time") == _next(failure, left_ms=wait - 1)


@pytest.mark.parametrize(
    ("failure", "pause_ms"),
    [
        (LIMITED, 3_000),
        (Rejected(error=_error("rate_limit", code=None, status=429)), 1_000),
        (Rejected(error=_error("rate_limit", code=99991400)), 1_000),
        (Rejected(error=_error("rate_limit", code=230020, retry_after_ms=2_000)), 2_000),
        (Rejected(error=_error("rate_limit", code=230020)), None),
        (Rejected(error=_error("target_final")), None),
        (TIMEOUT, None),
    ],
)
def test_only_a_limit_of_the_whole_api_stops_others(failure: Failure, pause_ms: int | None) -> None:
    """The limit of one chat or one message is its own affair."""
    assert pause_ms == api_pause_ms(failure)


def _head() -> Head:
    return Head(
        app_id=AppId("cli_1"),
        event_id=EventId("e1"),
        index=1,
        tenant_key=TenantKey("t1"),
        message_id=MessageId("om_1"),
        kind="any",
        target=Target("message:om_1"),
        audience="*",
        coalesce=None,
        order=1025,
        due=0,
        occurred_at=0,
        received_at=0,
        decided_at=DECIDED_AT,
        k=0,
        attempts=0,
        begun_at=None,
        marked_at=None,
    )


@pytest.mark.parametrize(
    ("effect", "sent_at", "last_at"),
    [
        (CARD, None, DECIDED_AT + DAY),
        (CARD, DECIDED_AT, DECIDED_AT + DAY),
        (CARD, DECIDED_AT - 14 * DAY + 1_000, DECIDED_AT + 999),
        (RenameChat("n"), DECIDED_AT - 14 * DAY + 1_000, DECIDED_AT + DAY),
    ],
)
def test_an_effect_is_worth_trying_for_a_day_or_until_its_card_expires(
    effect: PlatformEffect, sent_at: EpochMs | None, last_at: EpochMs
) -> None:
    """Whichever comes first, and an expired card concerns only its own update."""
    face = FaceRow(app_id=AppId("cli_1"), message_id=MessageId("om_1"), sent_at=sent_at)
    assert last_at == last_attempt_at(effect, head=_head(), face=face)
    assert DECIDED_AT + DAY == last_attempt_at(effect, head=_head(), face=None)


def test_what_is_wanted_again_by_hand_is_worth_trying_for_a_day_from_then_on() -> None:
    """Or its first failure would be its last; its card gets too old all the same."""
    again = replace(_head(), redriven_at=DECIDED_AT + 3 * DAY)
    old = FaceRow(app_id=AppId("cli_1"), message_id=MessageId("om_1"), sent_at=DECIDED_AT - 10 * DAY)
    assert DECIDED_AT + 4 * DAY == last_attempt_at(CARD, head=again, face=None)
    assert DECIDED_AT + 4 * DAY - 1 == last_attempt_at(CARD, head=again, face=old)
