"""
Dead letters as one kind of thing, whichever of the three they are, and which of them are meant.

===============  ==========================================  =====================  ============================
``--kind``       what failed                                 where it is kept       tried again
===============  ==========================================  =====================  ============================
``handler``      an input's handler                          the ledger             decided again, by the log
``effect``       an effect, for good                         the ledger             its row is pending again
``undecodable``  a record that nobody can read               the dead-letter topic  never
===============  ==========================================  =====================  ============================
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, Literal, get_args

from cardwire.cli.ids import expect
from shared.core.codec import header
from shared.core.errors import ConfigError
from shared.core.folded import ROUTING
from shared.core.ids import AppId, EventId, MessageId
from shared.core.json_text import EpochMs
from shared.eventlog.port import Record
from shared.feishu.codes import meaning
from worker.ledger.failures import FailedEffect, FailedInput
from worker.letters import stays

Kind = Literal["handler", "effect", "undecodable"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

EXAMPLE: Final = "cardwire dlq show f7984f25108f8137722bb63cee927e66"

WAITS: Final = "(its turn)"
"""What an input waits for that was never handed to a handler, because its card stands still."""

_TELLING: Final = 4
_NEAR: Final = 3

_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """
    A dead letter.

    Attributes:
        id: What `cardwire dlq show` takes: an event's id, an effect's (``EVENT/INDEX``), or a place in the dead-letter
            topic (``dlq/PARTITION/OFFSET``).
        what: The handler, or the kind of effect.
        code: The platform's code of an effect's last answer.
        at: When an input failed first, or when an effect failed last.
        redrives: How often an input was decided again, in vain.
        redriven_at: When an effect was tried again by hand, last (ms).
        behind: What of its card is decided first, where the card stands still.
        meaning: Of that code, in our words.
        stays: Why it is not tried again; ``None``: it may be.
        is_handled: Nobody has to do anything: it is shown to whoever names it.
    """

    kind: Kind
    id: str
    at: EpochMs
    app_id: AppId
    event_id: EventId
    index: int | None = None
    message_id: MessageId | None = None
    what: str
    reason: str
    code: int | None = None
    meaning: str | None = None
    http_status: int | None = None
    log_id: str | None = None
    redrives: int | None = None
    redriven_at: EpochMs | None = None
    parks: bool = False
    behind: str | None = None
    stays: str | None = None
    is_handled: bool = False

    def has(self, given: str) -> bool:
        """Say whether an id is this one's, or that of its event, all of which is meant then."""
        return given in {self.id, self.event_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    Which dead letters are meant; what is ``None`` asks nothing.

    Attributes:
        since: Not older than this (ms), and `until` older than that.
    """

    ids: Sequence[str] = ()
    since: EpochMs | None = None
    until: EpochMs | None = None
    card: str | None = None
    app: str | None = None
    code: int | None = None
    kind: Kind | None = None
    handler: str | None = None

    @property
    def asks_nothing(self) -> bool:
        """Whether every dead letter is meant."""
        return self == Wish()

    def means(self, letter: Letter) -> bool:
        """Say whether a dead letter is meant."""
        exact: tuple[tuple[object, object], ...] = (
            (self.card, letter.message_id),
            (self.app, letter.app_id),
            (self.code, letter.code),
            (self.kind, letter.kind),
            (self.handler, letter.what if letter.kind == "handler" else None),
        )
        return (
            (any(map(letter.has, self.ids)) if self.ids else not letter.is_handled)
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
            and all(wanted is None or wanted == found for wanted, found in exact)
        )


def of_input(failed: FailedInput) -> Letter:
    """Return an input whose handler failed."""
    return Letter(
        kind="handler",
        id=failed.event_id,
        at=failed.died_at,
        app_id=failed.app_id,
        event_id=failed.event_id,
        message_id=failed.message_id,
        what=WAITS if failed.handler == ROUTING and failed.parks else failed.handler,
        reason=failed.reason,
        redrives=failed.redrive,
        parks=failed.parks,
    )


def of_effect(failed: FailedEffect) -> Letter:
    """Return an effect that was given up."""
    outcome = failed.outcome
    return Letter(
        kind="effect",
        id=f"{failed.event_id}/{failed.index}",
        at=outcome.finished_at,
        app_id=failed.app_id,
        event_id=failed.event_id,
        index=failed.index,
        message_id=failed.message_id,
        what=failed.kind,
        reason=outcome.reason or "failed",
        code=outcome.code,
        meaning=meaning(outcome.code),
        http_status=outcome.http_status,
        log_id=outcome.log_id,
        redriven_at=failed.redriven_at,
        stays=stays(outcome, returned=failed.returned),
        is_handled=not failed.is_dead_letter,
    )


def of_record(record: Record) -> Letter:
    """Return a record that nobody could read."""
    ce_id = header(record.headers, "ce_id") or ""
    return Letter(
        kind="undecodable",
        id=f"dlq/{record.partition}/{record.offset}",
        at=record.timestamp,
        app_id=AppId(record.key.partition(":")[0]),
        event_id=EventId(ce_id),
        message_id=_message(header(record.headers, "ce_subject")),
        what=header(record.headers, "ce_type") or "(no type)",
        reason=header(record.headers, "dlq_reason") or "",
        stays="nobody can read it",
    )


def _message(subject: str | None) -> MessageId | None:
    return None if subject is None else MessageId(subject)


def wish(
    ids: Sequence[str],
    *,
    since: str | None,
    until: str | None,
    card: str | None,
    app: str | None,
    code: int | None,
    kind: str | None,
    handler: str | None,
) -> Wish:
    """
    Return which dead letters are meant, as options say it.

    Raises:
        ConfigError: An option is malformed, or an id of another kind.
    """
    now = time.time_ns() // 1_000_000
    for one in ids:
        expect("ID", one, "event", example=EXAMPLE)
    if card is not None:
        expect("--card", card, "card", example="--card om_dc13264520392913993dd051dba21dcf")
    if app is not None:
        expect("--app", app, "app", example="--app cli_a1b2c3d4e5f60718")
    return Wish(
        ids=tuple(ids),
        since=time_of("--since", since, now),
        until=time_of("--until", until, now),
        card=card,
        app=app,
        code=code,
        kind=kind_of(kind),
        handler=handler,
    )


def time_of(option: str, given: str | None, now: EpochMs) -> EpochMs | None:
    """
    Return a time that was given as a date, as ``2026-01-31T08:00:00+08:00`` (without an offset: UTC) or as ``2h`` ago.

    Raises:
        ConfigError: It is none.
    """
    if given is None:
        return None
    if ago := _AGO.fullmatch(given):
        return now - round(timedelta(**{_UNITS[ago[2]]: int(ago[1])}) / timedelta(milliseconds=1))
    try:
        at = datetime.fromisoformat(given)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return round((at - _EPOCH) / timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{option} is malformed: expected a time or how long ago, for example {option} 2h or "
            f"{option} 2026-01-31T08:00:00+08:00"
        ) from None


def begun(option: str, at: EpochMs | None, now: EpochMs) -> None:
    """
    Refuse a beginning that is still to come: nothing would be found, which looks as if nothing were wrong.

    Raises:
        ConfigError: It is.
    """
    if at is not None and at > now:
        raise ConfigError(f"{option} is still to come: expected a time that has been, for example {option} 7d")


def kind_of(given: str | None) -> Kind | None:
    """
    Return a kind of dead letters by its name.

    Raises:
        ConfigError: There is none of that name.
    """
    for kind in KINDS:
        if given == kind:
            return kind
    if given is None:
        return None
    raise ConfigError(f"--kind is malformed: expected one of {', '.join(KINDS)}, for example --kind handler")


def facts(letter: Letter) -> dict[str, Any]:
    """Return what a program is told of a dead letter; what is not known is left out."""
    names = (
        "kind", "id", "at", "app_id", "message_id", "what", "reason", "code", "meaning", "http_status", "log_id",
        "redrives", "redriven_at", "behind",
    )  # fmt: skip
    told = {name: value for name in names if (value := getattr(letter, name)) is not None}
    return {**told, "parks": letter.parks, **({"stays": letter.stays} if letter.stays else {})}


def with_turns(letters: Iterable[Letter]) -> list[Letter]:
    """Return inputs that failed, in the log's order, each with what stands before it where its card stands still."""
    first: dict[tuple[AppId, MessageId | None], str] = {}
    told = []
    for letter in letters:
        before = first.setdefault((letter.app_id, letter.message_id), letter.id) if letter.parks else letter.id
        told.append(letter if before == letter.id else replace(letter, behind=before))
    return told


def out_of_turn(letter: Letter, meant: Iterable[Letter]) -> str | None:
    """Return why an input would stay parked if just these were tried again; ``None``: it would not."""
    if letter.behind is None or any(one.id == letter.behind for one in meant):
        return None
    card = letter.message_id
    return f"its card stands still, and {letter.behind} goes first: in its order by cardwire dlq redrive --card {card}"


def near(given: str, letters: Iterable[Letter]) -> list[str]:
    """Return a few ids that begin as one that is none."""
    close = (letter.id for letter in letters if len(given) >= _TELLING and letter.id.startswith(given))
    return list(islice(dict.fromkeys(close), _NEAR))


def in_order(letters: Iterable[Letter]) -> list[Letter]:
    """Return letters as they died; what died together as it was found, which is the log's order."""
    return sorted(letters, key=lambda letter: letter.at)
