"""What was broken when, and how long other cards' people waited for their updates meanwhile."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from tests.chaos.facts import Facts
from tests.chaos.handlers import clicks_shown
from tests.chaos.history import CardSeen, FaultDone

ENDS: Final = {
    "down": "up",
    "worse": "better",
    "freeze": "thaw",
    "join": "leave",
    "hang": "free",
}
"""How each fault that lasts ends."""

LEAD_MS: Final = 1_000
"""What was under way when a fault began may suffer from it."""

STARVED_MS: Final = 250
"""A gateway that nothing befell takes so long for an answer only if the machine has no time for anybody."""

HELD_UP_MS: Final = 3_000
"""So long a card that is well does not wait."""


class Span(NamedTuple):
    """A time (ms)."""

    began_at: float
    ended_at: float

    def has(self, at: float) -> bool:
        """Say whether a moment is in it."""
        return self.began_at <= at <= self.ended_at

    def shared(self, other: "Span") -> float:
        """Return for how long both last (ms)."""
        return max(0.0, min(self.ended_at, other.ended_at) - max(self.began_at, other.began_at))


class Shown(NamedTuple):
    """
    A click, and when its card showed it, or a later one.

    Attributes:
        came_at: When a gateway took the click.
        shown_at: Infinite if it never did.
        waited_ms: From the one to the other, the time left out in which no card could be changed.
        may_ms: How long that might have been.
        is_calm: Nothing was broken that the card could have noticed, and the machine had time.
    """

    event_id: str
    message_id: str
    came_at: float
    shown_at: float
    waited_ms: float
    may_ms: float
    is_calm: bool


@dataclass(frozen=True)
class RowFacts:
    """What the rules of the worker's matrix ask, beyond `Facts`."""

    facts: Facts

    @cached_property
    def hangs(self) -> Sequence[Span]:
        """When one card hung."""
        return self._spans({"hang"})

    @cached_property
    def hung(self) -> AbstractSet[str]:
        """The cards that hung."""
        return {fault.name for fault in self.facts.history.faults if fault.kind == "hang"}

    @cached_property
    def sick(self) -> AbstractSet[str]:
        """The cards that hung, or were clicked for what no handler can decide."""
        poisoned = {str(self.facts.received[event_id][0].event.message_id) for event_id in self.facts.poisoned}
        return self.hung | poisoned

    @cached_property
    def trouble(self) -> Sequence[Span]:
        """When anything was broken that could hold every card up, and a while after it."""
        recover_ms = self.facts.history.demands.recover_ms
        lasting = self._spans(ENDS.keys() - {"hang"})
        at_once = [Span(fault.at, fault.at) for fault in self.facts.history.faults if fault.kind in {"kill", "back"}]
        return [Span(span.began_at - LEAD_MS, span.ended_at + recover_ms) for span in (*lasting, *at_once)]

    @cached_property
    def over_at(self) -> float | None:
        """When the last fault was over."""
        recover_ms = self.facts.history.demands.recover_ms
        return max((span.ended_at - recover_ms for span in self.trouble), default=None)

    @cached_property
    def shown(self) -> Sequence[Shown]:
        """Every click on a healthy card, in no order."""
        return [
            shown
            for card in self.facts.history.cards
            if card.message_id not in self.sick
            for shown in self._shown(card, _counted(card))
        ]

    @cached_property
    def held_up(self) -> Sequence[Shown]:
        """The clicks on a card that hung whose people had to wait for that."""
        cards = [self.facts.cards[message_id] for message_id in self.hung if message_id in self.facts.cards]
        return [
            shown
            for card in cards
            for shown in self._shown(card, _counted(card))
            if shown.shown_at - shown.came_at > HELD_UP_MS and any(hang.has(shown.came_at) for hang in self.hangs)
        ]

    def _shown(self, card: CardSeen, counted: Sequence[tuple[int, int]]) -> Iterator[Shown]:
        stopped, demands = self._spans({"down"}), self.facts.history.demands
        for decided in self.facts.stories.get(card.message_id, ()):
            records = self.facts.received.get(str(decided.event_id), ())
            if not records:
                continue
            came_at = records[0].event.received_at
            shown_at = next((at for at, clicks in counted if clicks >= decided.version), float("inf"))
            span = Span(came_at, shown_at)
            is_calm = not any(trouble.has(came_at) for trouble in self._around)
            yield Shown(
                event_id=str(decided.event_id),
                message_id=card.message_id,
                came_at=came_at,
                shown_at=shown_at,
                waited_ms=shown_at - came_at - sum(span.shared(each) for each in stopped),
                may_ms=demands.calm_ms if is_calm else demands.keep_up_ms,
                is_calm=is_calm,
            )

    @cached_property
    def starved(self) -> Sequence[Span]:
        """When the machine had no time for the gateway, as its answers tell."""
        answers = (Span(each.began_at, each.ended_at) for each in self.facts.history.deliveries)
        return [span for span in answers if span.ended_at - span.began_at > STARVED_MS]

    @cached_property
    def _around(self) -> Sequence[Span]:
        calm_ms = self.facts.history.demands.calm_ms
        return [Span(span.began_at - calm_ms, span.ended_at) for span in (*self.trouble, *self.starved)]

    def _spans(self, begins: AbstractSet[str]) -> Sequence[Span]:
        """Return from when to when faults of these kinds lasted; to the end, where nobody ended one."""
        found, open_at = [], dict[tuple[str, str, str], int]()
        for fault in sorted(self.facts.history.faults, key=lambda fault: fault.at):
            if fault.kind in begins:
                open_at[_one(fault, ENDS[fault.kind])] = fault.at
            elif (key := _one(fault, fault.kind)) in open_at:
                found.append(Span(open_at.pop(key), fault.at))
        return [*found, *(Span(at, float("inf")) for at in open_at.values())]


def _one(fault: FaultDone, end: str) -> tuple[str, str, str]:
    """Return what a fault's beginning and end have in common."""
    return end, fault.role, fault.name if fault.role == "worker" else ""


def _counted(card: CardSeen) -> Sequence[tuple[int, int]]:
    """Return what a card counted, and since when; what was turned back was not seen."""
    return [(version.at, clicks_shown(version.card)) for version in card.versions if version.by != "revert"]


def calls_by_fault(facts: Facts) -> Mapping[tuple[str, str], int]:
    """Return how many calls met each fault of the platform, by fault and API; not those about a card that hangs."""
    hung = RowFacts(facts).hung
    return Counter(
        (call.fault, call.api) for call in facts.history.calls if call.fault is not None and call.target not in hung
    )
