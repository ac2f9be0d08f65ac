"""
One card's decisions, version by version, and its clicks, one after the other: rules that look at neighbours (pure).

Each rule is told of one thing after the other and remembers as little as it needs.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import msgspec

from shared.core.json_text import EpochMs
from worker.history.verifying.facts import Place
from worker.history.verifying.story import Violation

VERSIONS_HAVE_NO_GAP: Final = "versions_have_no_gap"
DECIDED_IN_LOG_ORDER: Final = "decided_in_log_order"
WON_BY_ITS_RULE: Final = "won_by_its_rule"
TWIN_DECIDED_ONCE: Final = "twin_decided_once"

LEGACY: Final = "card_action_v1"
TWIN_MS: Final = 10_000
"""The platform pushes a click in both styles at about the same time."""

_ONE_WINNER: Final = frozenset({"once_per_card", "quorum_reached"})


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """
    A decision about a card.

    Attributes:
        input: Where its input lies; ``None``: not in the log any more.
        told: Where it was told.
    """

    event_id: str
    input: Place | None
    told: Place
    version: int
    handler: str | None
    digest: str | None
    reason: str | None
    winners: tuple[str, ...]
    voters: tuple[str, ...]

    def violates(self, rule: str, app_id: str, text: str, *others: Place | None) -> Violation:
        """Return a violation by this decision."""
        places = tuple(place for place in (*others, self.input, self.told) if place is not None)
        return Violation(rule=rule, app_id=app_id, event_id=self.event_id, places=places, text=text)


class Clicked(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2):
    """A click on a card that was decided, of an app whose clicks come in both styles."""

    event_id: str
    place: Place
    kind: str
    same: int
    received_at: EpochMs
    result: str


class CardRules:
    """Judges one card's decisions, in the order of their versions; those that changed nothing come first."""

    def __init__(self, app_id: str, message_id: str) -> None:
        self._app_id, self._message_id = app_id, message_id
        self._before: Step | None = None
        self._races: dict[tuple[str | None, str | None], _Race] = defaultdict(_Race)

    def see(self, step: Step) -> Iterator[Violation]:
        """Yield what is wrong with the next one."""
        yield from self._won_by_its_rule(step)
        if not step.version:
            return
        before, self._before = self._before, step
        if before is not None:
            yield from self._version_follows(before, step)
            yield from self._lies_behind(before, step)

    def _version_follows(self, before: Step, step: Step) -> Iterator[Violation]:
        """Every change of a card makes the version after the one before it: state changes once per event."""
        if step.version == before.version:
            text = f"version {step.version} of {self._message_id} was made twice, before by {before.event_id}"
            yield step.violates(VERSIONS_HAVE_NO_GAP, self._app_id, text, before.told)
        elif step.version != before.version + 1:
            text = f"version {step.version} of {self._message_id} follows version {before.version}"
            yield step.violates(VERSIONS_HAVE_NO_GAP, self._app_id, text, before.told)

    def _lies_behind(self, before: Step, step: Step) -> Iterator[Violation]:
        """A later version was decided from a later record."""
        first, second = before.input, step.input
        if first is None or second is None or first.partition != second.partition or step.version == before.version:
            return
        if second.offset <= first.offset:
            text = f"decided after {before.event_id}, which lies behind it, as version {step.version} of its card"
            yield step.violates(DECIDED_IN_LOG_ORDER, self._app_id, text, first)

    def _won_by_its_rule(self, step: Step) -> Iterator[Violation]:
        """Nobody wins a race twice, or is counted twice; a race with one winner has one."""
        if not step.winners and not step.voters and step.reason not in _ONE_WINNER:
            return
        race = self._races[step.handler, step.digest]
        if (text := race.joined(step)) is not None:
            yield step.violates(WON_BY_ITS_RULE, self._app_id, f"{text} on {self._message_id} ({step.handler})")


class _Race:
    """How a race stands, as far as the log tells: which rule it goes by shows in what it refuses and counts."""

    def __init__(self) -> None:
        self._winners: set[str] = set()
        self._voters: set[str] = set()
        self._has_one_winner = False

    def joined(self, step: Step) -> str | None:
        """Take in who joined; return what is wrong with it."""
        again = sorted(self._winners & set(step.winners)), sorted(self._voters & set(step.voters))
        self._winners |= set(step.winners)
        self._voters |= set(step.voters)
        self._has_one_winner |= bool(step.voters) or step.reason in _ONE_WINNER
        if again[0]:
            return f"{again[0][0]} won a second time"
        if again[1]:
            return f"{again[1][0]} was counted a second time"
        if self._has_one_winner and step.winners and len(self._winners) > 1:
            return f"a race for one has {len(self._winners)} winners"
        return None


class TwinRule:
    """Judges one card's clicks in the order of the log: what came in both styles is decided in one of them."""

    def __init__(self, app_id: str) -> None:
        self._app_id = app_id
        self._recent: list[Clicked] = []

    def see(self, click: Clicked) -> Iterator[Violation]:
        """Yield what is wrong with the next one."""
        self._recent = [one for one in self._recent if abs(click.received_at - one.received_at) <= TWIN_MS]
        if click.kind != LEGACY:
            self._recent.append(click)
            return
        twin = next((one for one in self._recent if one.same == click.same), None)
        if twin is not None and click.result not in {"twin", "failed"}:
            text = f"{click.result}, and {twin.event_id}, the same click in the new style, was decided before"
            yield Violation(
                rule=TWIN_DECIDED_ONCE,
                app_id=self._app_id,
                event_id=click.event_id,
                places=(twin.place, click.place),
                text=text,
            )
