"""
How long the ledger keeps what, and in which order it goes: settings, and what they rest on.

What was decided is known for longer than anything can bring it again: the log's records, and dead letters that
somebody redrives. docs/reference/retention.md has all stores in one table, held to these constants by a test.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.eventlog.port import RETENTION_MS, Topics
from shared.settings import setting
from shared.settings.kinds import whole
from worker.ledger.kept import Store

DAY_MS: Final = 86_400_000
LOG_DAYS: Final = RETENTION_MS // DAY_MS
MARGIN_DAYS: Final = 5
"""By so much claims outlive log and dead letters: brokers delete by segments, and clocks differ."""

KEEP_DAYS: Final = 45
DEAD_LETTER_DAYS: Final = 40
TOKENS_MS: Final = DAY_MS
"""A right lapses after 30 minutes; what it was for is tried for a day, and is told then why it came to nothing."""

ORDER: Final[Sequence[Store]] = ("tokens", "dead_letters", "targets", "events", "faces", "budgets", "suspensions")
"""What keeps something else goes before it."""

ROWS: Final = 100
"""Rows of a store that a transaction looks at: 20 ms of SQLite's only writer where each has effects and a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """For how long what nobody needs any more is kept."""

    days: int = setting(
        whole(1, 3650),
        "CARDWIRE_KEEP_DAYS",
        default=str(KEEP_DAYS),
        unit="days",
        meaning="How long the ledger keeps what was decided and done, and cards that nobody touched. A duplicate is "
        f"known for so long, so it is {LOG_DAYS + MARGIN_DAYS} or more, and {MARGIN_DAYS} more than "
        "CARDWIRE_KEEP_DEAD_LETTERS_DAYS.",
        example="60",
    )
    dead_letters_days: int = setting(
        whole(1, 3650),
        "CARDWIRE_KEEP_DEAD_LETTERS_DAYS",
        default=str(DEAD_LETTER_DAYS),
        unit="days",
        meaning="How long clicks whose handler failed are kept, to be redriven.",
        example="14",
    )

    def problems(self) -> Iterator[str]:
        """Return what would let a claim go before that which it guards against."""
        least = LOG_DAYS + MARGIN_DAYS
        if self.days < least:
            yield (
                f"CARDWIRE_KEEP_DAYS={self.days} is too short: expected {least} or more, because a duplicate must be "
                f"known for longer than the log keeps its records ({LOG_DAYS} days), for example "
                f"CARDWIRE_KEEP_DAYS={KEEP_DAYS}"
            )
        if self.days < (least := self.dead_letters_days + MARGIN_DAYS):
            yield (
                f"CARDWIRE_KEEP_DEAD_LETTERS_DAYS={self.dead_letters_days} expects CARDWIRE_KEEP_DAYS of {least} or "
                "more, because a dead letter is decided once only while its claim is there, for example "
                f"CARDWIRE_KEEP_DAYS={least}"
            )

    def of(self, store: Store) -> int:
        """Return after how long a store's rows are old (ms)."""
        match store:
            case "tokens":
                return TOKENS_MS
            case "dead_letters":
                return self.dead_letters_days * DAY_MS
            case _:
                return self.days * DAY_MS


def in_log(topics: Topics) -> Mapping[str, str]:
    """Return each topic by what it is called beside the ledger's tables."""
    return {"log_interactions": topics.interactions, "log_outcomes": topics.outcomes, "log_dead": topics.dead}
