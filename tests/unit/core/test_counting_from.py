"""What an effect counts from."""

from hypothesis import given
from hypothesis import strategies as st

from shared.core.effects import RenameChat, SendText
from shared.core.events import NAME, Decided, PlannedEffect
from shared.core.ids import EventId, Target
from tests.support import facts


def decided(occurred_at: int, *, newest_at: int | None, late: bool = False) -> Decided:
    """Return a decision of a click at that time."""
    return Decided(
        event_id=EventId("e"),
        app_id=facts.APP,
        tenant_key=facts.TENANT,
        message_id=facts.CARD,
        partition=0,
        offset=0,
        result="decided",
        newest_at=newest_at,
        late=late,
        occurred_at=occurred_at,
        decided_at=0,
    )


def planned(order: int = 1) -> PlannedEffect:
    """Return a rename at that place of the log."""
    return PlannedEffect(index=1, target=Target("chat:oc_1"), coalesce=NAME, order=order, effect=RenameChat("name"))


@given(st.lists(st.integers(0, 9), min_size=2))
def test_names_decided_on_one_card_go_in_log_order(times: list[int]) -> None:
    """Whatever the times of its clicks."""
    newness = []
    for order, at in enumerate(times):
        one = decided(at, newest_at=max(times[: order + 1]))
        newness.append((one.counts_from(planned(order)), order))
    assert sorted(newness) == newness


def test_the_name_of_a_late_click_stays_behind() -> None:
    """As its card does."""
    assert 1 == decided(1, newest_at=9_000, late=True).counts_from(planned())


def test_without_a_card_a_name_counts_from_its_input() -> None:
    """Of a request or an event nothing newer is known."""
    assert 5 == decided(5, newest_at=None).counts_from(planned())


def test_other_effects_count_from_their_input() -> None:
    """What is said or sent does not take another's place."""
    text = PlannedEffect(index=1, target=Target("chat:oc_1"), order=1, effect=SendText("hello"))
    assert 5 == decided(5, newest_at=9).counts_from(text)
