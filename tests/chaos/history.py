"""
The three histories of a run, and the ledger: values that can be kept in a folder and read back.

Times are epoch milliseconds; all processes of a run share one machine's clock.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from shared.eventlog.port import Record


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One delivery of a click's bytes, as the load client saw it.

    Attributes:
        event_id: Of the click; absent if even the person's client was not reached.
        status: HTTP status of the answer; ``None``: there was no answer.
        client_error: The code that the client showed.
        toast: The type of the toast that it showed.
        answered_in_ms: How long the answer took.
    """

    at: int
    event_id: str | None = None
    status: int | None = None
    client_error: int | None = None
    toast: str | None = None
    answered_in_ms: int | None = None

    @property
    def is_accepted(self) -> bool:
        """The person was told that the click counts."""
        return self.status == 200 and self.client_error is None and self.toast != "error"


class Clicked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One click of a person: the same bytes, as often as it took.

    Attributes:
        event_id: Absent if the click never left the person's client.
        intended_at: When the schedule wanted it to happen.
        copies: How often each attempt delivered it.
    """

    message_id: str
    event_id: str | None = None
    intended_at: int
    copies: int = 1
    attempts: tuple[Attempt, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Some attempt was accepted."""
        return any(attempt.is_accepted for attempt in self.attempts)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the log."""

    partition: int
    offset: int
    key: str
    headers: tuple[tuple[str, str], ...]
    value: str

    @classmethod
    def of(cls, record: Record) -> "Line":
        """Return a record as it is kept."""
        headers = tuple((name, value.decode()) for name, value in record.headers)
        return cls(
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            headers=headers,
            value=record.value.decode(),
        )

    def record(self) -> Record:
        """Return it as it is read from a log; its time there was not kept."""
        return Record(
            topic="",
            partition=self.partition,
            offset=self.offset,
            key=self.key,
            value=self.value.encode(),
            headers=tuple((name, value.encode()) for name, value in self.headers),
            timestamp=0,
        )

    @property
    def ce_id(self) -> str:
        """The record's CloudEvents id."""
        return dict(self.headers).get("ce_id", "")


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What a card showed from a time on, and what made it so."""

    at: int
    by: str
    card: str


class CardSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A card of the run, as the platform has it."""

    message_id: str
    chat_id: str
    versions: tuple[Version, ...]


class ChatSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A chat of the run: every name it had, and the texts in it."""

    chat_id: str
    names: tuple[str, ...]
    texts: tuple[str, ...] = ()


class Delivered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One delivery of a click's bytes, as the platform saw it.

    Attributes:
        ended_at: When the first answer was there, or nobody waited for one any more.
    """

    event_id: str
    began_at: int
    ended_at: int
    status: int | None = None
    client_error: int | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An OpenAPI call that arrived at the platform; ``api``: its name; ``fault``: what was injected, if anything."""

    n: int
    at: int
    method: str
    path: str
    api: str = ""
    target: str | None = None
    code: int | None = None
    status: int | None = None
    fault: str | None = None


class RuleBroken(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of the platform that a caller broke, as the simulator judged."""

    at: int
    rule: str
    api: str
    target: str | None


class FaultDone(msgspec.Struct, frozen=True, kw_only=True):
    """
    A fault that was done, or its end.

    Attributes:
        kind: ``kill`` and ``back`` of a process, ``freeze`` and ``thaw``, ``join`` and ``leave``; ``down``, ``gone``
            and ``up`` of a service; ``worse`` and ``better`` of the platform; ``hang`` and ``free`` of a card there.
        role: To what: ``gateway``, ``worker``, ``broker``, ``database``, ``platform``.
        name: To which one.
    """

    at: int
    kind: str
    role: str
    name: str


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A process that ended though nobody ended it; ``was_ready``: it had started well."""

    at: int
    name: str
    code: int
    started_at: int
    was_ready: bool
    last_line: str


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row that the ledger holds, of the columns that the log can restore."""

    table: str
    key: tuple[str | int, ...]
    columns: dict[str, Any]


class Demands(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What a run must have been like to prove anything.

    Attributes:
        accepted: The least part of all clicks that must have been accepted.
        late: The largest part of all deliveries whose answer may have come too late; a busy machine makes some.
        kills: The least number of kills of each role, within the sending phase.
        done: The least number of other faults, by kind.
        faulted: The least number of calls that each fault of the platform befell, of all APIs or of one: ``429``,
            ``429 im.v1.message.create``.
        failed: The least number of clicks that the handler could not decide.
        hung: The least number of clicks on a card that hung at the platform, and that had to wait for it.
        calm: The least number of clicks that came meanwhile, on other cards, and while nothing else was broken.
        calm_ms: How long the update of one of those may take at most.
        keep_up_ms: How long the update of any other card may take at most, the time left out in which none can.
        recover_ms: How long after a fault the wait may be longer than without.
    """

    accepted: float = 0.9
    late: float = 0.01
    kills: dict[str, int] = {}
    done: dict[str, int] = {}
    faulted: dict[str, int] = {}
    failed: int = 0
    hung: int = 0
    calm: int = 0
    calm_ms: int = 5_000
    keep_up_ms: int = 0
    recover_ms: int = 0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """
    All that a run left behind.

    Attributes:
        row: Of the fault matrix; empty: a run where anything breaks at random.
        began_at: When the first click was sent; `ended_at`: when the last one was over.
        ended: Processes that ended by themselves.
        unquiet: What still had to be done when waiting was given up; empty: nothing.
        unlike: Where a ledger that was rebuilt from the log differs from the old one; empty: nowhere.
    """

    row: str = ""
    began_at: int
    ended_at: int
    demands: Demands
    clicks: Sequence[Clicked]
    interactions: Sequence[Line]
    outcomes: Sequence[Line]
    cards: Sequence[CardSeen]
    chats: Sequence[ChatSeen]
    deliveries: Sequence[Delivered]
    calls: Sequence[Call]
    broken: Sequence[RuleBroken]
    faults: Sequence[FaultDone]
    ended: Sequence[Ended]
    unquiet: Sequence[str]
    unlike: Sequence[str]
    ledger: Sequence[LedgerRow]


_LISTS = {field.name for field in msgspec.structs.fields(History)} - {
    "row", "began_at", "ended_at", "demands", "unquiet", "unlike",
}  # fmt: skip
_RUN = "run.json"


def keep(history: History, folder: Path) -> None:
    """Write a history into a folder: one file of JSON lines for each list, and one for the rest."""
    encoder = msgspec.json.Encoder()
    for name in _LISTS:
        (folder / f"{name}.jsonl").write_bytes(encoder.encode_lines(getattr(history, name)))
    rest = {field: getattr(history, field) for field in History.__struct_fields__ if field not in _LISTS}
    (folder / _RUN).write_bytes(encoder.encode(rest))


def kept(folder: Path) -> History:
    """Read a history back that `keep` wrote."""
    whole = msgspec.json.decode((folder / _RUN).read_bytes())
    for name in _LISTS:
        lines = (folder / f"{name}.jsonl").read_bytes().splitlines()
        whole[name] = [msgspec.json.decode(line) for line in lines]
    return msgspec.convert(whole, History)
