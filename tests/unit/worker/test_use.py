"""How much of the platform's limits is used can be seen before it is too much."""

from shared.core.ids import AppId
from shared.feishu.limits import ApiRate, Limits
from worker.use import Use

APP = AppId("cli_a")
PATCH = "im.v1.message.patch"
LIMITS = Limits(api=ApiRate(per_second=50, per_minute=1000))


def test_calls_are_shares_of_the_minute_and_of_its_busiest_second() -> None:
    """Whatever the seconds around it were like."""
    use = Use()
    for at_s in (*[100.0] * 5, *[101.5] * 25, *[130.0] * 10):
        use.called(APP, PATCH, at_s)
    shares = use.shares(LIMITS, 131)
    assert {(APP, PATCH, "minute"): 40 / 1000, (APP, PATCH, "second"): 25 / 50} == shares


def test_a_minute_later_nothing_is_used() -> None:
    """And nothing is kept."""
    use = Use()
    use.called(APP, PATCH, 100)
    use.called(APP, PATCH, 140)
    assert {(APP, PATCH, "minute"): 1 / 1000, (APP, PATCH, "second"): 1 / 50} == use.shares(LIMITS, 161)
    assert {} == use.shares(LIMITS, 200)


def test_each_app_and_api_is_counted_for_itself() -> None:
    """Their limits are theirs."""
    use = Use()
    use.called(APP, PATCH, 1)
    use.called(AppId("cli_b"), PATCH, 1)
    use.called(APP, "im.v1.chat.update", 1)
    assert {1 / 1000} == {share for key, share in use.shares(LIMITS, 1).items() if key[2] == "minute"}
    assert 3 == len({key[:2] for key in use.shares(LIMITS, 1)})


def test_of_the_apis_that_are_shown_as_one_the_most_used_is_told() -> None:
    """Each has a limit of its own, so their sum would say nothing."""
    use = Use()
    for at_s in (1, 2, 3):
        use.called(APP, "other/7", at_s)
    use.called(APP, "other/8", 4)
    assert {(APP, "other", "minute"): 3 / 1000, (APP, "other", "second"): 1 / 50} == use.shares(LIMITS, 5)


def test_without_limits_nothing_of_them_is_used() -> None:
    """A load test against a simulator."""
    use = Use()
    use.called(APP, PATCH, 1)
    assert {0.0} == set(use.shares(Limits().unlimited(), 1).values())
