"""Every end of an effect is either somebody's to look at or nobody's, by a closed table."""

from typing import get_args

import pytest

from tests.unit.worker.test_meter import outcome
from worker.letters import REFUSED, is_dead_letter
from worker.performing.way import NoRight
from worker.policy import Reason


def test_the_table_knows_every_reason_why_nothing_is_called() -> None:
    """A new one must be judged, too."""
    assert set(REFUSED) == {*get_args(Reason), *get_args(NoRight)}


@pytest.mark.parametrize("reason", sorted(REFUSED))
def test_what_is_refused_is_a_dead_letter_if_somebody_has_to_mend_code(reason: str) -> None:
    """A card past its time is meant to be refused."""
    assert (reason != "expired") == is_dead_letter(outcome("refused", reason=reason), followed=False)


def test_what_was_told_to_a_handler_or_is_tried_again_is_none() -> None:
    """Somebody has seen to it."""
    assert is_dead_letter(outcome("failed", reason="platform_refused"), followed=False)
    assert not is_dead_letter(outcome("failed", reason="platform_refused"), followed=True)
    assert not is_dead_letter(outcome("failed", final=False), followed=False)
    assert not is_dead_letter(outcome("failed", reason="expired"), followed=False)
    assert not is_dead_letter(outcome("succeeded"), followed=False)
