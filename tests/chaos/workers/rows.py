"""
The rows of the worker's matrix: what is broken, when, and what that row must have been like. Values only.

In every row one card hangs: most of what it is sent does not come back in time, some of it is done all the same, much
later. And on another card every other click is for a handler that fails. All other cards must not notice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tests.chaos.faults import Fault, Freeze, Join, Kill, Restart, Spell, Weather
from tests.chaos.history import Demands

EVERY_API: Final = "/open-apis/*"
MESSAGES_AND_CHATS: Final = "/open-apis/im/v1/*"

SENDS_LOST: Final = "drop_after im.v1.message.create"
"""Only these show that a repeated send makes one message."""

HANG_FROM_S: Final = 0.6
HANG_MS: Final = 7_000
"""Longer than a call may take, and so long that the lost ones are done when a later one has been made."""

HANGS: Final = (
    Spell(path=f"{MESSAGES_AND_CHATS[:-1]}messages/{{hung}}", kind="delay", p=1, ms=HANG_MS),
    Spell(path=f"{MESSAGES_AND_CHATS[:-1]}messages/{{hung}}", kind="drop_before", p=0.5),
)
RESET_MS: Final = 4_000
"""What a 429 of the storm says to wait: longer than a call can have been reserved ahead (2 s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One row of the matrix.

    Attributes:
        name: Of one word or a few, for the command line.
        what: What is broken, for people.
        seconds: How long is clicked.
        clocks: How far the wall clock of each worker is off (s); so many are there.
        hang_s: How long the one card hangs.
        keep_up_s: How long an update may take while the fault lasts and a while after it; the time in which log,
            ledger or platform are away does not count.
        recover_s: How long that while is.
        calm: How many clicks must come on other cards while the one hangs and nothing else is broken.
        calm_s: How long the update of one of those may take: most of it for a machine that does more than this.
        demands: What else the row must have been like to prove anything.
        quiet_s: How long it may take to end all work.
    """

    name: str
    what: str
    seconds: float
    per_second: float = 10
    cards: int = 24
    clocks: tuple[float, ...] = (0.0, 0.0)
    faults: tuple[Fault, ...] = ()
    hang_s: float = 12
    keep_up_s: float
    recover_s: float = 12
    calm: int = 5
    calm_s: float = 5
    demands: Demands = field(default_factory=Demands)
    quiet_s: float = 60

    @property
    def all_faults(self) -> Sequence[Fault]:
        """The row's own, and those of every row."""
        return (Weather(at_s=HANG_FROM_S, for_s=self.hang_s, how="hangs", spells=HANGS), *self.faults)

    @property
    def all_demands(self) -> Demands:
        """The row's own, and those of every row."""
        told = {name: getattr(self.demands, name) for name in Demands.__struct_fields__}
        clicks = self.seconds * self.per_second
        common = {
            "failed": int(clicks / 30),
            "hung": 1,
            "calm": self.calm,
            "calm_ms": round(self.calm_s * 1000),
            "keep_up_ms": round(self.keep_up_s * 1000),
            "recover_ms": round(self.recover_s * 1000),
        }
        return Demands(**(told | common))


def _kills(count: int, *, from_s: float = 8, every_s: float = 3) -> tuple[Kill, ...]:
    return tuple(Kill(at_s=from_s + every_s * n, role="worker", nth=n) for n in range(count))


def _storm(at_s: float, for_s: float) -> tuple[Weather, ...]:
    spell = Spell(path=MESSAGES_AND_CHATS, kind="429", p=1, ms=RESET_MS)
    return (Weather(at_s=at_s, for_s=for_s, how="away", spells=(spell,)),)


def _outage(at_s: float, for_s: float) -> tuple[Weather, ...]:
    return (Weather(at_s=at_s, for_s=for_s, how="away", spells=(Spell(path=EVERY_API, kind="drop_before", p=1),)),)


def _losses(at_s: float, for_s: float, *, of_sends: float = 0.5) -> tuple[Weather, ...]:
    spells = (
        Spell(path=f"{MESSAGES_AND_CHATS[:-1]}messages", kind="drop_after", p=of_sends),
        Spell(path=MESSAGES_AND_CHATS, kind="drop_after", p=0.5),
    )
    return (Weather(at_s=at_s, for_s=for_s, how="bad", spells=spells),)


KILLED: Final = Row(
    name="killed",
    what="one of two workers killed (SIGKILL) every 3 s",
    seconds=47,
    faults=_kills(12),
    keep_up_s=45,  # a lease after the other: the one who took over may be the next
    demands=Demands(kills={"worker": 12}),
)
DATABASE: Final = Row(
    name="database",
    what="PostgreSQL restarted, and once more after SIGKILL, 4 s away each time",
    seconds=46,
    faults=(
        Restart(at_s=8, what="database", how="stop", for_s=4),
        Restart(at_s=26, what="database", how="kill", for_s=4),
    ),
    keep_up_s=25,
    demands=Demands(done={"down": 2}),
)
PLATFORM: Final = Row(
    name="platform",
    what="no call reaches the platform for 5 min",
    seconds=380,
    faults=_outage(16, 300),
    keep_up_s=90,
    recover_s=70,
    quiet_s=120,
    demands=Demands(done={"down": 1}, faulted={"drop_before": 5}),
)
LOST: Final = Row(
    name="lost",
    what="half of all answers lost after the call was done, for 24 s",
    seconds=44,
    faults=_losses(8, 24),
    keep_up_s=30,
    recover_s=20,
    demands=Demands(done={"worse": 1}, faulted={"drop_after": 30, SENDS_LOST: 5}),
)

FULL: Final[Sequence[Row]] = (
    KILLED,
    DATABASE,
    Row(
        name="broker",
        what="Kafka restarted, and once more after SIGKILL",
        seconds=50,
        faults=(
            Restart(at_s=8, what="broker", how="stop"),
            Restart(at_s=26, what="broker", how="kill"),
        ),
        keep_up_s=25,
        demands=Demands(done={"down": 2}),
    ),
    Row(
        name="rebalances",
        what="two workers more every 8 s, and gone again after 3 s",
        seconds=48,
        faults=tuple(Join(at_s=8 + 8 * n, for_s=3, workers=2) for n in range(4)),
        keep_up_s=25,
        demands=Demands(done={"join": 8, "leave": 8}),
    ),
    Row(
        name="zombie",
        what="one of two workers frozen (SIGSTOP) for 30 s, then the other",
        seconds=90,
        faults=(Freeze(at_s=8, for_s=30, nth=0), Freeze(at_s=46, for_s=30, nth=1)),
        keep_up_s=30,
        demands=Demands(done={"freeze": 2, "thaw": 2}),
    ),
    PLATFORM,
    Row(
        name="storm",
        what=f"every call answered 429, come back in {RESET_MS // 1000} s, for 15 s",
        seconds=44,
        faults=_storm(8, 15),
        keep_up_s=30,
        demands=Demands(done={"down": 1}, faulted={"429": 3}),
    ),
    LOST,
    Row(
        name="clocks",
        what="the clock of one worker 5 s ahead, of the other 5 s behind",
        seconds=30,
        clocks=(5.0, -5.0),
        keep_up_s=10,
    ),
)
"""The table that stands in docs/reference/fault-matrix.md."""

BUSY_S: Final = 12
"""What a machine may add that runs other tests as well."""

FEW: Final = 7
"""Cards, so that the tenth click of each, which is told to the chat, comes within a short row."""

SMALL: Final[Sequence[Row]] = (
    replace(
        KILLED,
        what="one of two workers killed every 3 s",
        seconds=12,
        cards=FEW,
        hang_s=5,
        calm=0,
        calm_s=BUSY_S,
        faults=_kills(3, from_s=3),
        demands=Demands(kills={"worker": 3}),
    ),
    replace(
        DATABASE,
        what="PostgreSQL killed, and started again",
        seconds=12,
        cards=FEW,
        hang_s=5,
        calm=0,
        calm_s=BUSY_S,
        faults=(Restart(at_s=4, what="database", how="kill", for_s=1),),
        demands=Demands(done={"down": 1}),
    ),
    replace(
        LOST,
        what="half of all answers lost after the call was done; clocks 5 s ahead and behind",
        seconds=12,
        cards=FEW,
        hang_s=5,
        calm=0,
        calm_s=BUSY_S,
        clocks=(5.0, -5.0),
        faults=_losses(2, 8, of_sends=1),
        demands=Demands(done={"worse": 1}, faulted={"drop_after": 4, SENDS_LOST: 1}),
    ),
)
"""For every run of the tests."""
