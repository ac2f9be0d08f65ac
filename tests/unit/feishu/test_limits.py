import math

from shared.feishu.limits import ApiRate, Limits


def test_an_api_has_the_usual_rate_unless_it_has_its_own() -> None:
    """Fifty in a second and a thousand in a minute."""
    limits = Limits(apis={"x": ApiRate(per_second=5, per_minute=100)})
    assert ApiRate(per_second=50, per_minute=1000) == limits.of("im.v1.message.patch")
    assert ApiRate(per_second=5, per_minute=100) == limits.of("x")


def test_limits_can_be_multiplied() -> None:
    """Every rate grows alike; nothing else changes."""
    limits = Limits(apis={"x": ApiRate(per_second=5, per_minute=100)}).times(20)
    assert (1000, 20000, 100, 2000) == (
        limits.of("y").per_second,
        limits.of("y").per_minute,
        limits.of("x").per_second,
        limits.of("x").per_minute,
    )
    assert (100, 100, 100) == (limits.per_message, limits.per_chat, limits.per_user)


def test_unlimited_is_infinite() -> None:
    """A test that measures something else waits for nothing."""
    limits = Limits().unlimited()
    assert {math.inf} == {
        limits.api.per_second,
        limits.api.per_minute,
        limits.per_message,
        limits.per_chat,
        limits.per_user,
    }
