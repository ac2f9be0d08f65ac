"""What happened, in order, for tests and people to read back: calls and clicks."""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, Protocol, TypeVar

from shared.core.ids import EventId, MessageId
from shared.core.json_text import EpochMs

KEPT: Final = 200_000
PAGE: Final = 5_000


class _Numbered(Protocol):
    @property
    def n(self) -> int: ...


N = TypeVar("N", bound=_Numbered)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSeen:
    """
    One OpenAPI call that arrived.

    Attributes:
        n: Counts the calls from 1.
        api: The API's name; ``unknown`` for a path that is none.
        target: The message or chat of the path, or the receiver of a send.
        code: What it was answered; ``None`` where the connection was dropped before anything was done.
        fault: The fault that was injected, if any.
    """

    n: int
    at_ms: EpochMs
    method: str
    path: str
    api: str
    app_id: str | None
    tenant_key: str | None
    target: str | None
    code: int | None
    status: int | None
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickSeen:
    """
    One click as its person saw it, noted when it was over.

    Attributes:
        n: Counts them from 1, in order of their ends.
        deliveries: How often its bytes were delivered on this occasion.
        is_again: The bytes of an earlier click.
        began_at_ms: When the first bytes left; `ended_at_ms`: when the first answer was there, or given up.
    """

    n: int
    event_id: EventId
    message_id: MessageId
    style: str
    deliveries: int
    is_again: bool
    began_at_ms: EpochMs
    ended_at_ms: EpochMs
    status: int | None
    client_error: int | None


class Trail(Generic[N]):
    """The newest things of one sort, numbered from 1; the oldest are forgotten beyond ``kept``."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept: deque[N] = deque(maxlen=kept)
        self.count = 0

    def next_n(self) -> int:
        """Return the number of the thing that is added next."""
        self.count += 1
        return self.count

    def add(self, seen: N) -> None:
        """Add a thing that carries the number just given."""
        self._kept.append(seen)

    def after(self, n: int, limit: int = PAGE) -> list[N]:
        """Return at most ``limit`` things with higher numbers, oldest first."""
        skipped = max(0, n - (self.count - len(self._kept)))
        return list(islice(self._kept, skipped, skipped + limit))


class History:
    """Calls and clicks."""

    def __init__(self) -> None:
        self.calls: Trail[CallSeen] = Trail()
        self.clicks: Trail[ClickSeen] = Trail()
