"""When an effect may start: the one rule, case by case and as laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.effects import AnsweredCard, RenameChat, StoredEffect, UpdateCard
from shared.core.eligibility import UNANSWERED_MS, marked_ms, wait_ms
from shared.core.events import Eligibility, PlannedEffect
from shared.core.ids import Target
from shared.core.json_text import EpochMs, JsonText

NOW: EpochMs = 1_750_000_000_000
SETTLE_MS = 300

UPDATE, ANSWERED, RENAME = UpdateCard("{}"), AnsweredCard(JsonText("{}")), RenameChat("name")
MARKS = st.sampled_from([None, False, True])
"""No mark, one of an answer that reached nobody, one of an answer that was delivered."""

GAPS = st.integers(0, 60_000)


def planned(
    effect: StoredEffect, eligibility: Eligibility = "after_answer", due: EpochMs | None = None
) -> PlannedEffect:
    """Return an effect as it was decided."""
    return PlannedEffect(
        index=1, target=Target("message:om_1"), order=1, eligibility=eligibility, due=due, effect=effect
    )


EFFECTS = st.builds(
    planned,
    st.sampled_from([UPDATE, ANSWERED, RENAME]),
    st.sampled_from(["after_answer", "at_once"]),
    st.none() | st.integers(NOW - 9_000, NOW + 9_000),
)


@pytest.mark.parametrize(
    ("effect", "delivered", "waits_ms"),
    [
        (planned(UPDATE), True, SETTLE_MS),
        (planned(UPDATE), False, SETTLE_MS),
        (planned(UPDATE), None, 3_000),
        (planned(ANSWERED), True, 0),
        (planned(ANSWERED), False, SETTLE_MS),
        (planned(ANSWERED), None, 3_000),
        (planned(RENAME, "at_once"), None, 0),
        (planned(RENAME, "at_once", NOW + 500), None, 500),
        (planned(RENAME, "at_once", NOW - 500), None, 0),
        (planned(UPDATE, due=NOW), None, SETTLE_MS),
        (planned(UPDATE, due=NOW - 100), None, SETTLE_MS - 100),
        (planned(UPDATE, due=NOW - 500), None, 0),
    ],
    ids=[
        "an update behind its answer",
        "an update whose answer reached nobody",
        "an update without a mark",
        "the answered card, on the screen",
        "the answered card that reached nobody",
        "the answered card of which nobody knows",
        "what waits for nothing",
        "what has a time of its own",
        "what has one that is over",
        "what came back as the answer left",
        "what came back while the answer was painted",
        "what came back after that",
    ],
)
def test_an_effect_waits(effect: PlannedEffect, *, delivered: bool | None, waits_ms: int) -> None:
    """For its click's answer and until that is painted, or for its own time, and for nothing else."""
    assert waits_ms == wait_ms(effect, since=NOW, delivered=delivered, settle_ms=SETTLE_MS)


@given(effect=EFFECTS, delivered=MARKS, settle_ms=GAPS, since=st.integers(NOW - 9_000, NOW + 9_000))
def test_nothing_starts_before_it_was_decided_nor_before_its_time(
    *, effect: PlannedEffect, delivered: bool | None, settle_ms: int, since: EpochMs
) -> None:
    """Whatever its mark says, and however long the settle gap is."""
    starts_at = since + wait_ms(effect, since=since, delivered=delivered, settle_ms=settle_ms)
    assert starts_at >= since
    if effect.due is not None:
        gap_ms = settle_ms if effect.eligibility == "after_answer" else 0
        assert max(since, effect.due + gap_ms) == starts_at


@given(effect=st.sampled_from([UPDATE, ANSWERED]), delivered=st.booleans(), settle_ms=GAPS)
def test_it_makes_no_difference_in_which_batch_a_mark_is_read(
    *, effect: StoredEffect, delivered: bool, settle_ms: int
) -> None:
    """With its click or behind it, what waits goes on for as long."""
    together = wait_ms(planned(effect), since=NOW, delivered=delivered, settle_ms=settle_ms)
    behind = marked_ms(is_answered_card=effect is ANSWERED, delivered=delivered, settle_ms=settle_ms)
    assert behind == together


@given(delivered=st.booleans(), settle_ms=GAPS)
def test_a_client_that_paints_an_answer_is_left_alone(*, delivered: bool, settle_ms: int) -> None:
    """For the whole settle gap, by whatever paints the card: a card that was not delivered, too."""
    assert settle_ms == marked_ms(is_answered_card=False, delivered=delivered, settle_ms=settle_ms)
    assert settle_ms == marked_ms(is_answered_card=True, delivered=False, settle_ms=settle_ms)


def test_without_a_mark_an_effect_waits_as_long_as_the_platform_does() -> None:
    """Then nobody waits for the answer any more, whatever became of it (docs/reference/platform.md, "Deadlines")."""
    assert 3_000 == UNANSWERED_MS
