"""What a story lacks, and what is still to come of it (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from worker.history.moments import Moment

_ASKED: Final = frozenset({"received", "requested", "returned", "reminded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What is not in the log, of which event, in words."""

    event_id: str
    text: str


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What was seen of one event; effects by their index."""

    asked: bool = False
    decided: bool = False
    planned: dict[int, str] = field(default_factory=dict)
    outcomes: dict[int, Mapping[str, object]] = field(default_factory=dict)


def gaps(moments: Sequence[Moment]) -> Sequence[Gap]:
    """Return what the moments of one story lack."""
    events: dict[str, _Seen] = {}
    for moment in moments:
        _see(events.setdefault(moment.event_id, _Seen()), moment)
    found = [Gap(event_id=event_id, text=text) for event_id, seen in events.items() for text in _of_event(seen)]
    return [*_versions(moments), *found]


def _see(seen: _Seen, moment: Moment) -> None:
    facts = moment.facts
    if moment.what in _ASKED:
        seen.asked = True
    elif moment.what == "decided":
        seen.decided = True
        seen.planned |= {one["index"]: one["kind"] for one in facts.get("effects", ())}
    elif moment.what == "outcome":
        before = seen.outcomes.get(facts["index"], {"outcome": 0})
        if facts["outcome"] > before["outcome"]:
            seen.outcomes[facts["index"]] = facts


def _of_event(seen: _Seen) -> Iterator[str]:
    if not seen.asked:
        yield "how it came in is not in the log any more"
    elif not seen.decided:
        yield "not decided: not yet, or it repeats another one, or it was put aside"
    for index, kind in seen.planned.items():
        outcome = seen.outcomes.get(index)
        if outcome is None:
            yield f"{kind} {index}: nothing has become of it yet"
        elif not outcome.get("final"):
            yield f"{kind} {index}: waits for its next attempt"


def _versions(moments: Sequence[Moment]) -> Iterator[Gap]:
    before: int | None = None
    told = [one for one in moments if one.what == "decided" and "version" in one.facts]
    for moment in sorted(told, key=lambda one: int(one.facts["version"])):
        version = int(moment.facts["version"])
        if before is not None and version > before + 1:
            missing = f"version {before + 1}" if version == before + 2 else f"versions {before + 1} to {version - 1}"
            yield Gap(event_id=moment.event_id, text=f"{missing} of the card before it: not told here")
        before = version
