import pytest

from shared.feishu.limits import ApiRate, Limits
from simulator.limits import SECOND_MS, Exceeded, Windows
from tests.unit.simulator.world import World, card


def test_a_window_allows_its_quota_and_no_more() -> None:
    """The call after the quota's last is told the quota and how long to wait."""
    windows = Windows(SECOND_MS)
    assert [None, None] == [windows.count("a", 2, now=10_400) for _ in range(2)]
    assert Exceeded(quota=2, wait_s=1) == windows.count("a", 2, now=10_999)


def test_windows_follow_the_calendar() -> None:
    """A new second begins at full seconds, not a second after the first call."""
    windows = Windows(SECOND_MS)
    assert windows.count("a", 1, now=10_999) is None
    assert windows.count("a", 1, now=11_000) is None


def test_keys_are_counted_apart() -> None:
    """One key's calls leave another's quota alone."""
    windows = Windows(SECOND_MS)
    assert windows.count("a", 1, now=0) is None
    assert windows.count("b", 1, now=0) is None


def test_a_refused_call_counts_too() -> None:
    """Hammering against a full window does not open it earlier, and the wait is until the window's end."""
    windows = Windows(60_000)
    assert [None, *[Exceeded(quota=1, wait_s=31)] * 3] == [windows.count("a", 1, now=29_500) for _ in range(4)]


def test_an_infinite_quota_is_no_limit() -> None:
    """Limits can be lifted."""
    windows = Windows(SECOND_MS)
    assert [None] * 1000 == [windows.count("a", float("inf"), now=0) for _ in range(1000)]


def test_the_fifty_first_call_of_a_second_is_refused() -> None:
    """One API takes 50 calls in a second; the refusal tells quota and wait, and is noted."""
    world = World()
    path = f"im/v1/chats/{world.chat}"
    assert [0] * 50 == [world.call("GET", path).code for _ in range(50)]
    refused = world.call("GET", path)
    assert (429, 99991400) == (refused.status, refused.code)
    assert ("50", "1") == (refused.headers["x-ogw-ratelimit-limit"], refused.headers["x-ogw-ratelimit-reset"])
    assert ["api_per_second"] == world.broken()
    world.clock.advance(1)
    assert world.call("GET", path).code == 0


def test_the_thousand_and_first_call_of_a_minute_is_refused() -> None:
    """One API takes 1,000 calls in a minute, however evenly they come."""
    world = World()
    path = f"im/v1/chats/{world.chat}"
    for _ in range(25):
        assert {0} == {world.call("GET", path).code for _ in range(40)}
        world.clock.advance(1)
    refused = world.call("GET", path)
    assert (429, "1000", "35") == (
        refused.status,
        refused.headers["x-ogw-ratelimit-limit"],
        refused.headers["x-ogw-ratelimit-reset"],
    )
    assert ["api_per_minute"] == world.broken()


def test_apis_are_counted_apart() -> None:
    """Reading a chat leaves renaming it alone."""
    world = World(Limits(api=ApiRate(per_second=1)))
    assert world.call("GET", f"im/v1/chats/{world.chat}").code == 0
    assert world.call("PUT", f"im/v1/chats/{world.chat}", {"name": "跟进中"}).code == 0


def test_a_card_takes_five_updates_in_a_second() -> None:
    """The sixth update of one message is refused with the code of the operation, not of the API."""
    world = World()
    message_id = world.put(card())
    assert [0] * 5 == [world.patch(message_id, card(str(n))).code for n in range(5)]
    refused = world.patch(message_id, card("6"))
    assert (400, 230020) == (refused.status, refused.code)
    assert "4" == world.shown(message_id)["elements"][0]["content"]
    assert world.patch(world.put(card()), card("another message")).code == 0
    assert ["message_per_second"] == world.broken()


@pytest.mark.parametrize(("to", "kind", "rule"), [(None, "chat_id", "chat"), ("ou_alice", "open_id", "user")])
def test_a_chat_and_a_person_take_five_messages_in_a_second(to: str | None, kind: str, rule: str) -> None:
    """The sixth message to one receiver is refused and not sent."""
    world = World()
    assert [0] * 5 == [world.send(str(n), to=to, kind=kind).code for n in range(5)]
    assert 230020 == world.send("6", to=to, kind=kind).code
    assert [f"{rule}_per_second"] == world.broken()
    assert 5 == len(world.platform.messages)


def test_limits_count_real_time_when_the_clock_is_moved() -> None:
    """Moving the platform's clock gives nobody more calls: the two clocks are told apart."""
    world = World(Limits(api=ApiRate(per_second=1)))
    clock = world.platform.clock
    clock.base = _Stopped(clock.base.now())
    clock.advance(3600)
    assert [0, 99991400] == [world.call("GET", f"im/v1/chats/{world.chat}").code for _ in range(2)]
    clock.advance(3600)
    assert 99991400 == world.call("GET", f"im/v1/chats/{world.chat}").code


def test_a_call_that_the_network_doubled_is_not_held_against_its_caller() -> None:
    """An injected duplicate is neither counted nor judged."""
    world = World(Limits(api=ApiRate(per_second=1)))
    path = f"im/v1/chats/{world.chat}"
    assert [0, 0] == [world.call("GET", path).code, world.call("GET", path, fault="duplicate").code]
    assert [] == world.broken()


class _Stopped:
    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        """Return always the same time."""
        return self._now

    def monotonic(self) -> float:
        """Return always the same time."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Wait for nothing."""
