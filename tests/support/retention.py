"""The page of how long what is kept: every store in one table, with the numbers of the code."""
# ruff: noqa: E501  (lines of a page)

from typing import Final

from gateway.spill.rejected import MOST_WAITING
from shared.eventlog.port import RETENTION_MS
from shared.eventlog.sqlite.writing import PRUNE_RECORDS
from shared.feishu.limits import CARD_TOKEN_VALID_MS, DAY_MS
from worker.keeping import DEAD_LETTER_DAYS, KEEP_DAYS, LOG_DAYS, MARGIN_DAYS, ROWS, TOKENS_MS
from worker.performing.throttle import AHEAD_MS
from worker.relay import FULL
from worker.retention import HOUR_S

_LOG: Final = f"{RETENTION_MS // DAY_MS} days"
_KEPT: Final = f"{KEEP_DAYS} days (`CARDWIRE_KEEP_DAYS`)"
_LETTERS: Final = f"{DEAD_LETTER_DAYS} days (`CARDWIRE_KEEP_DEAD_LETTERS_DAYS`)"

LOG_ROWS: Final = (
    (
        "Kafka: `lark.card.interactions.v1`, `lark.card.outcomes.v1`, `lark.card.interactions.v1.dlq`",
        f"{_LOG}, counted from when the broker took the record",
        "the brokers, by whole segments: some hours more; never compacted. `cardwire topics check` refuses less",
    ),
    (
        "SQLite: `log.db` and beside it `log.<topic>.db`",
        f"{_LOG}, counted from the append",
        "the worker that sweeps the ledger, every hour, of all three topics; and whichever process appends, behind its commits and a few at a time",
    ),
    (
        "`CARDWIRE_SPILL`: a gateway's spill",
        "until the log has taken it",
        "the gateway that drains it; bounded by `CARDWIRE_SPILL_MAX_ROWS` and `CARDWIRE_SPILL_MAX_MB`",
    ),
    (
        "`CARDWIRE_SPILL`: `spill_rejected.db`, what the brokers refused for good",
        _LOG,
        f"the gateway that puts the next one there: while there is none, it keeps what it has; on a full disk up to {MOST_WAITING >> 20} MiB wait in memory for room",
    ),
)

LEDGER_ROWS: Final = (
    ("claims", _KEPT + " after the decision, or its last redrive", "with all that hangs on them; see below what keeps one longer"),
    ("effects", "as the claim of their click", "pending ones as long as they are; given-up ones can be redriven until then"),
    ("cards", "as the last claim about the card", "so: untouched for that long"),
    ("faces", "as the last claim about the card; sent and never clicked: by when it was sent", "what is shown of a card"),
    ("dead_letters", _LETTERS, "a click whose handler failed; until then it keeps its claim, and a parked card stands still"),
    ("card_tokens", f"{TOKENS_MS // DAY_MS} day", f"of use for {CARD_TOKEN_VALID_MS // 60_000} minutes and two calls"),
    ("targets", _KEPT + " after anybody worked on it", "never one with work, nor one that has to say something again"),
    ("budgets", _KEPT + " after the last call", f"a row that is past says what none says ({AHEAD_MS // 1000} s ahead at most)"),
    ("suspensions", _KEPT + " after the handler was last suspended or late", "a row for each handler that ever hung"),
    ("outbox", "until the log has it", f"the relay deletes it; above {FULL:,} rows nothing more is performed"),
    ("positions", "for ever", "a row for each partition"),
    ("apps", "for ever", "a row for each app"),
    ("roles", "for ever", "a row for each thing that one worker does for all: telling the log, keeping the ledger, tickets"),
    ("rebuilds", "until the rebuild is finished", "how far it has come"),
)  # fmt: skip
"""Tables of the ledger, for how long, and what there is to say."""


def retention_page() -> str:
    """Return the reference of how long what is kept."""
    least = LOG_DAYS + MARGIN_DAYS
    lines = [
        "# How long what is kept",
        "",
        "Nothing grows for ever. Times are those of the code and of the two [settings](settings.md#worker) named here; this",
        "page is generated from them: `python -m tests.support.reference`.",
        "",
        "## The log",
        "",
        "| store | kept | deleted by |",
        "|---|---|---|",
        *(f"| {store} | {kept} | {by} |" for store, kept, by in LOG_ROWS),
        "",
        "## The ledger",
        "",
        "| table | kept | |",
        "|---|---|---|",
        *(f"| `{table}` | {kept} | {note} |" for table, kept, note in LEDGER_ROWS),
        "",
        f"Every {round(HOUR_S / 60)} minutes one worker of the fleet deletes what is past its time, oldest first, in transactions of",
        f"{ROWS} rows or fewer with a pause behind each, so that deciding and performing go on between them. It goes by the ledger's clock.",
        f"Behind the ledger's rows go the records of a SQLite log, by its own clock, {PRUNE_RECORDS} or fewer at a time.",
        "A row that somebody is using is passed over until the next hour. If that worker is killed, another one goes on within two",
        "minutes. What it did is one log line, `retention_ran`, and [three metrics](metrics.md#worker) (`cardwire_retention_…`).",
        "",
        "By hand, beside running workers or without them:",
        "",
        "```sh",
        "cardwire db prune --dry-run   # how many rows of which table, and records of which topic of a SQLite log",
        "cardwire db prune",
        "```",
        "",
        "## What keeps a claim",
        "",
        f"A claim is what tells a duplicate from a click. It stays for {KEEP_DAYS} days, {MARGIN_DAYS} more than a dead letter and",
        f"{KEEP_DAYS - LOG_DAYS} more than a record of the log, and longer",
        "",
        "- while an effect of its click is pending: a reminder, or what is redriven;",
        "- while its click is a dead letter;",
        "- while its effect is the newest that was shown on a target that is in use: a chat's name of last year is sent again when a",
        "  later call to that chat went wrong.",
        "",
        f"So `CARDWIRE_KEEP_DAYS` of less than {least}, or of less than {MARGIN_DAYS} more than `CARDWIRE_KEEP_DEAD_LETTERS_DAYS`, is refused",
        "at start. Who lets Kafka keep more than its time sets it higher, too: a record that is older than the claims would be a",
        "new click if anything brought it again.",
        "",
        "## What is gone then",
        "",
        "- `cardwire card` tells what is left of a card's story, and knows nothing of a card that was not touched for so long. The",
        f"  log's half of it is gone earlier, after {LOG_DAYS} days.",
        "- A handler is given no card (`None`) for such a message. Nobody clicks it: the platform takes clicks on a card for 30 days.",
        "- A card that was sent in place of an expired one lives by its own time.",
        "",
        "## What the files do",
        "",
        "A SQLite file does not become smaller: the pages of deleted rows are used again, so it stays about as large as it was at its",
        "largest. `PRAGMA auto_vacuum` is off, because it moves pages in the midst of work. To give room back, stop the worker and run",
        "`VACUUM` on the file, with as much free disk as the file is large. PostgreSQL's autovacuum does the same job while it runs.",
    ]
    return "\n".join(lines) + "\n"
