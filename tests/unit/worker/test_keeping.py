"""How long what is kept, and that a claim outlives what it guards against (worker/keeping.py)."""

from typing import get_args

import pytest

from shared.core.errors import ConfigError
from shared.settings import load
from tests.support.documents import is_documented
from worker.keeping import DAY_MS, DEAD_LETTER_DAYS, KEEP_DAYS, LOG_DAYS, ORDER, Keeping
from worker.ledger.kept import Store


def refused(**env: str) -> str:
    """Return the one line by which settings are refused; it is documented."""
    with pytest.raises(ConfigError) as caught:
        load(Keeping, {f"CARDWIRE_KEEP_{name}": text for name, text in env.items()})
    (line,) = str(caught.value).splitlines()
    assert is_documented(line)
    return line


def test_claims_outlive_log_and_dead_letters_unless_told_otherwise() -> None:
    """By five days each."""
    assert ([], KEEP_DAYS * DAY_MS) == (list(Keeping().problems()), Keeping().of("events"))
    assert LOG_DAYS < DEAD_LETTER_DAYS < KEEP_DAYS
    assert DEAD_LETTER_DAYS * DAY_MS == Keeping().of("dead_letters")


def test_less_than_the_log_is_refused() -> None:
    """A duplicate of what the log still holds would be decided again."""
    line = refused(DAYS="37", DEAD_LETTERS_DAYS="7")
    assert "CARDWIRE_KEEP_DAYS=37 is too short: expected 38 or more" in line
    assert Keeping(days=38, dead_letters_days=7) == load(
        Keeping, {"CARDWIRE_KEEP_DAYS": "38", "CARDWIRE_KEEP_DEAD_LETTERS_DAYS": "7"}
    )


def test_dead_letters_that_would_outlive_their_claims_are_refused() -> None:
    """Redriven twice, they would be decided twice."""
    assert "CARDWIRE_KEEP_DEAD_LETTERS_DAYS=45 expects CARDWIRE_KEEP_DAYS of 50 or more" in refused(
        DEAD_LETTERS_DAYS="45"
    )


def test_every_store_is_swept_and_what_holds_another_goes_first() -> None:
    """A dead letter keeps its claim, a target the effect that it shows, a claim its card."""
    assert sorted(get_args(Store)) == sorted(ORDER)
    assert ORDER.index("dead_letters") < ORDER.index("events") < ORDER.index("faces")
    assert ORDER.index("targets") < ORDER.index("events")
