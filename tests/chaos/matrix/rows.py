"""
The rows: what is broken, when, and what that row must have been like to prove anything. Values only.

A new row is a value here; a new sort of fault also a case in `tests.chaos.matrix.breaking`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tests.chaos.matrix.history import Demands
from tests.chaos.processes import Reader

PAGE_BYTES: Final = 4096
FILLED: Final = 0.5
"""Of a full file, the part that is records: the rest is what SQLite keeps beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """
    The broker, or the first of three, is away: frozen (SIGSTOP), or killed (SIGKILL) and started again.

    Attributes:
        from_s: After the first click; ``None``: before any gateway is started.
        to_s: ``None``: until everything that can be done without it is done.
    """

    how: Literal["frozen", "killed"]
    from_s: float | None
    to_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kills:
    """Gateways are killed (SIGKILL) in turns, and each is started again by its supervisor."""

    every_s: float
    times: int


Fault = Broker | Kills


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One row of the matrix.

    Attributes:
        name: Of one word or a few, for the command line.
        what: What is broken, for people.
        seconds: How long is clicked at least; it goes on until all is as before, and then some more.
        brokers: One, or three of which each topic has copies.
        max_pages: Where the spill's disk is full soon: its size in pages.
        commit_ms: Where it is slow: how much longer each commit takes.
        spills: Whether so much is broken that records must go through the spill.
        leave_every: Every so manieth client leaves without waiting; 0: none.
        readers: Who takes the gateways' log lines, in turns.
        connects: Clicks come over long connections, and by no webhook.
    """

    name: str
    what: str
    seconds: float
    per_second: int = 100
    gateways: int = 1
    brokers: Literal[1, 3] = 1
    faults: tuple[Fault, ...]
    max_pages: int | None = None
    commit_ms: float = 0.0
    spills: bool = True
    leave_every: int = 0
    readers: tuple[Reader, ...] = ("file",)
    connects: bool = False

    @property
    def demands(self) -> Demands:
        """What the row must have been like."""
        clicks = int(self.seconds * self.per_second)
        return Demands(
            clicks=clicks,
            afterwards=self.per_second,
            spilled=self.per_second if self.spills else 0,
            kills=sum(fault.times for fault in self.faults if isinstance(fault, Kills)),
            refused=self.per_second if self.max_pages else 0,
            room_bytes=int(self.max_pages * PAGE_BYTES * FILLED) if self.max_pages else 0,
            left=clicks // self.leave_every if self.leave_every else 0,
            lines_lost=self.per_second if "full disk" in self.readers else 0,
        )


def frozen(from_s: float, to_s: float) -> Broker:
    """Return a broker that stands still for so long."""
    return Broker(how="frozen", from_s=from_s, to_s=to_s)


def killed(from_s: float | None, to_s: float | None) -> Broker:
    """Return a broker that ends, and begins again."""
    return Broker(how="killed", from_s=from_s, to_s=to_s)


FULL: Final[Sequence[Row]] = (
    Row(
        name="frozen",
        what="broker frozen (SIGSTOP) for 60 s",
        seconds=72,
        faults=(frozen(4, 64),),
    ),
    Row(
        name="killed",
        what="broker killed (SIGKILL), started again on its data",
        seconds=24,
        faults=(killed(4, 8),),
    ),
    Row(
        name="absent",
        what="no broker when the gateway starts; it comes after 6 s of clicks",
        seconds=20,
        faults=(killed(None, 6),),
    ),
    Row(
        name="gateways",
        what="one of two gateways killed (SIGKILL) every 5 s",
        seconds=30,
        gateways=2,
        faults=(Kills(every_s=5, times=5),),
        spills=False,
    ),
    Row(
        name="both",
        what="the same, and the broker frozen for 15 s meanwhile",
        seconds=32,
        gateways=2,
        faults=(Kills(every_s=5, times=5), frozen(6, 21)),
    ),
    Row(
        name="full",
        what="spill's disk full (`max_page_count`), broker frozen for 14 s",
        seconds=24,
        faults=(frozen(3, 17),),
        max_pages=500,
    ),
    Row(
        name="slow",
        what="10 ms more for each commit of the spill, broker frozen for 10 s",
        seconds=17,
        faults=(frozen(3, 13),),
        commit_ms=10,
    ),
    Row(
        name="early",
        what="every other client leaves within 12 ms, broker frozen for 4 s",
        seconds=16,
        faults=(frozen(5, 9),),
        leave_every=2,
    ),
    Row(
        name="unwritten",
        what="nobody takes log lines: one gateway's disk is full, the reader of the other's pipe stands still; broker "
        "frozen for 5 s",
        seconds=16,
        gateways=2,
        faults=(frozen(4, 9),),
        readers=("full disk", "nobody"),
    ),
    Row(
        name="connections",
        what="long connections instead of a webhook: one of two gateways killed (SIGKILL) every 5 s, and the broker "
        "frozen for 8 s meanwhile",
        seconds=26,
        gateways=2,
        faults=(Kills(every_s=5, times=4), frozen(6, 14)),
        connects=True,
    ),
    Row(
        name="cluster",
        what="one of three brokers killed (SIGKILL), and not started again",
        seconds=25,
        brokers=3,
        faults=(killed(4, None),),
    ),
)
"""The table that stands in docs/reference/fault-matrix.md."""

SMALL: Final[Sequence[Row]] = (
    Row(
        name="killed",
        what="broker killed, started again",
        seconds=9,
        per_second=50,
        faults=(killed(2, 4),),
    ),
    Row(
        name="both",
        what="one of two gateways killed every 3 s, and the broker frozen for 4 s meanwhile",
        seconds=11,
        per_second=50,
        gateways=2,
        faults=(Kills(every_s=3, times=2), frozen(2, 6)),
    ),
    Row(
        name="full",
        what="spill's disk full, broker frozen for 6 s",
        seconds=10,
        per_second=50,
        faults=(frozen(1, 7),),
        max_pages=120,
    ),
)
"""For every run of the tests."""
