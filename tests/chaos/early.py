"""
Whether an update came before its click's answer, and what of it is the platform's own doing.

On a starved machine the simulator may stand still for a second while an answer lies unread in its socket, and then
meet the update first: it takes the update for early and turns it back, as it must. The answered mark tells when the
gateway had written the answer; an update a settle gap after that kept the promise, whatever the simulator read when.
"""

from collections.abc import Sequence
from typing import Final, Literal

from tests.chaos.facts import Facts
from tests.chaos.handlers import event_shown
from tests.chaos.history import CardSeen, Version

UNANSWERED_MS: Final = 3_000
"""After so long without an answer the platform has told the person that there is none, so updates may leave."""

SETTLE_MS: Final = 300
"""From the answered mark to the update."""

Standing = Literal["fine", "unread", "early"]
"""``fine``: after the answer; ``unread``: after it was written, before the platform read it; ``early``: before it."""


def standing(facts: Facts, version: Version) -> Standing:
    """Return how an update stands to the answer of the click that it shows."""
    if version.by == "sent" or version.at >= _allowed_from(facts, version):
        return "fine"
    mark = facts.marks.get(event_shown(version.card))
    is_written = mark is not None and mark.delivered and mark.answered_at + SETTLE_MS <= version.at
    return "unread" if is_written else "early"


def too_early(facts: Facts, version: Version) -> int:
    """Return by how many ms an update came too early."""
    return round(_allowed_from(facts, version) - version.at)


def unjust_reverts(facts: Facts, card: CardSeen) -> Sequence[Version]:
    """Return where the platform turned the card back because it had not read an answer that it was given."""
    found, since = [], list[Version]()
    for version in card.versions:
        if version.by != "revert":
            since.append(version)
            continue
        if any(standing(facts, each) == "unread" for each in since):
            found.append(version)
        since.clear()
    return found


def shown(facts: Facts, card: CardSeen) -> str:
    """Return the card that everybody sees at last, as if the platform had turned nothing back unjustly."""
    unjust = unjust_reverts(facts, card)
    return [version for version in card.versions if version not in unjust][-1].card


def _allowed_from(facts: Facts, version: Version) -> float:
    event_id = event_shown(version.card)
    decisions = facts.decisions.get(event_id, ())
    late = min((decision.event.decided_at for decision in decisions), default=float("inf")) + UNANSWERED_MS
    return min(facts.answered_at.get(event_id, late), late)
