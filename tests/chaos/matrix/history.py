"""
What a row leaves behind: the client's own record, the log, and what the gateways told of themselves meanwhile.

Times are epoch milliseconds of one machine's clock.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tests.chaos.history import Ended, FaultDone, Line

Ending = Literal["answered", "closed", "left", "timeout"]
"""``closed``: the connection ended without an answer; ``left``: the client ended it, and never waited for one."""


class Sending(msgspec.Struct, frozen=True, kw_only=True, tag="sending"):
    """
    The client's note before it sends a click's bytes.

    Attributes:
        nth: 0 for the first time, 1 when the same bytes are sent again …
        gateway: Which one they go to.
        intended_at: When the schedule wanted them sent; of a repetition, when it was due.
        leaves: The client will not wait for the answer.
    """

    event_id: str
    card: str
    nth: int
    gateway: int
    intended_at: float
    sent_at: float
    leaves: bool = False


class Over(msgspec.Struct, frozen=True, kw_only=True, tag="over"):
    """The client's note of what became of it, written before it does anything about it."""

    event_id: str
    nth: int
    at: float
    ending: Ending
    status: int | None = None
    body: str | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Both notes together; ``over`` is missing if the client never learned."""

    sending: Sending
    over: Over | None = None

    @property
    def is_answered(self) -> bool:
        """There was an answer, whatever it said."""
        return self.over is not None and self.over.ending == "answered"

    @property
    def took_ms(self) -> float:
        """How long it took from the time that was intended; infinite if it never ended."""
        return float("inf") if self.over is None else self.over.at - self.sending.intended_at


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a gateway told of itself at one moment, in its metrics.

    Attributes:
        life: Which process of that name it was: 0, after its first end 1 …
        own_rows: Records in its spill, and ``own_bytes`` what they take.
        orphan_rows: Records in the file of another that it drains.
        failed: Groups that the log did not take, so far; likewise records ``spilled`` and ``forwarded``.
        lines_lost: Log lines that nobody took, so far.
    """

    at: int
    gateway: int
    life: int
    is_open: bool
    own_rows: int
    own_bytes: int
    orphan_rows: int
    failed: int
    spilled: int
    forwarded: int
    lines_lost: int = 0

    @property
    def is_quiet(self) -> bool:
        """The log is in use, and nothing is spilled."""
        return not self.is_open and not self.own_rows and not self.orphan_rows


class Demands(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What a row must have been like to prove anything, and what is allowed in it alone.

    Attributes:
        clicks: How many there must be at least.
        afterwards: How many of them must have come when all was as before the fault.
        spilled: How many records must have gone through the spill at least.
        kills: How many gateways must have been killed, and may therefore end connections.
        refused: How many clicks must have been refused at least; 0: none may be.
        room_bytes: Where clicks may be refused: how much the spill must hold before the first one is.
        left: How many clients must have left without waiting.
        lines_lost: How many log lines nobody must have taken.
    """

    clicks: int
    afterwards: int = 0
    spilled: int = 0
    kills: int = 0
    refused: int = 0
    room_bytes: int = 0
    left: int = 0
    lines_lost: int = 0


class RowHistory(msgspec.Struct, frozen=True, kw_only=True):
    """
    All that a row left behind.

    Attributes:
        samples: Of all gateways, in order of time.
        ended: Gateways that ended though nobody ended them.
        in_folder: Names of the files that were in the spills' folder when all gateways had stopped.
    """

    row: str
    began_at: int
    demands: Demands
    attempts: Sequence[Attempt]
    interactions: Sequence[Line]
    samples: Sequence[Sample]
    faults: Sequence[FaultDone]
    ended: Sequence[Ended]
    in_folder: Sequence[str]


def attempts_in(record: Path) -> Sequence[Attempt]:
    """Return what a client wrote down, in the order of sending; a last line that is cut off does not count."""
    sent: dict[tuple[str, int], Attempt] = {}
    text = record.read_bytes()
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        match msgspec.json.decode(line, type=Sending | Over):
            case Sending() as sending:
                sent[sending.event_id, sending.nth] = Attempt(sending=sending)
            case over:
                key = (over.event_id, over.nth)
                sent[key] = msgspec.structs.replace(sent[key], over=over)
    return list(sent.values())


def keep(history: RowHistory, folder: Path) -> None:
    """Write a row's history into a folder."""
    (folder / "row.json").write_bytes(msgspec.json.encode(history))


def kept(folder: Path) -> RowHistory:
    """Read a history back that `keep` wrote."""
    return msgspec.json.decode((folder / "row.json").read_bytes(), type=RowHistory)
