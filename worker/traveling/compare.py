"""In what two decisions about one input differ (pure)."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

import msgspec

from shared.core.effects import AnsweredCard, StoredEffect, UpdateCard
from shared.core.events import Decided, PlannedEffect, RequestReceived
from shared.core.json_text import JsonText, json_value
from shared.core.races import LostReason
from shared.core.targets import shown_target
from worker.traveling.card import is_same_json
from worker.traveling.parts import parts, parts_of

Kind = Literal["result", "handler", "race", "late", "state", "card", "effect"]
"""
What differs: whether and why it was decided; by whom; how it came in by its handler's race rule; whether it came too
late to repaint its card; the state; the card shown; what else is to be done.
"""

EFFECTS: Final = 8
"""How many effects of one decision are told of at most."""

_PLACE: Final = re.compile(r" \([^()]*:\d+\)\Z")
_RACES: Final[frozenset[LostReason]] = frozenset({"once_per_card", "once_per_user", "quorum_reached"})


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One thing in which a decision differs.

    Attributes:
        what: Which part of it: a path, or an effect and its target.
        was: How it was recorded, and `now` how it is.
    """

    kind: Kind
    what: str = ""
    was: str = ""
    now: str = ""


def compare(recorded: Decided, ours: Decided | None, *, with_values: bool = False) -> tuple[Change, ...]:
    """
    Return in what a decision differs from the recorded one; of equal ones, nothing.

    JSON is compared as values: the order of keys and spaces are no difference. Nor is where an error was raised, which
    moves with every line of code, or when an effect is due, which depends on the hour of the day that was recorded.

    Args:
        ours: ``None``: nothing was decided, because the input had been.
        with_values: Show values, which people may have typed.
    """
    if ours is None:
        return (Change(kind="result", was=_result(recorded), now="not decided again"),)
    if _is_plainly_same(recorded, ours):
        return ()
    return tuple(_changes(recorded, ours, with_values=with_values))


def compare_asked(was: RequestReceived, now: RequestReceived, *, with_values: bool = False) -> tuple[Change, ...]:
    """Return in what an update of another card differs from the recorded one."""
    if was.effects == now.effects and was.message_id == now.message_id:
        return ()
    if was.message_id != now.message_id:
        return (Change(kind="effect", what="other card", was=str(was.message_id), now=str(now.message_id)),)
    return tuple(
        Change(kind="effect", what=f"{type(other).__name__} of message:{now.message_id}: {path}", was=before, now=after)
        for one, other in zip(was.effects, now.effects, strict=False)
        for path, before, after in parts_of(_payload(one), _payload(other), with_values=with_values)
    )


def came_in(decided: Decided) -> str:
    """Return how an input came in by its handler's race rule; without a rule, nothing."""
    if decided.result == "counted":
        return "counted"
    if decided.result == "refused" and decided.reason in _RACES:
        return f"lost ({decided.reason})"
    return "won" if decided.winners else ""


def _is_plainly_same(recorded: Decided, ours: Decided) -> bool:
    return (
        recorded.effects == ours.effects
        and recorded.state == ours.state
        and recorded.content == ours.content
        and (recorded.result, recorded.handler, recorded.reason, recorded.late, recorded.requests)
        == (ours.result, ours.handler, ours.reason, ours.late, ours.requests)
        and (recorded.winners, recorded.voters) == (ours.winners, ours.voters)
    )


def _changes(recorded: Decided, ours: Decided, *, with_values: bool) -> Iterator[Change]:
    if _result(recorded) != _result(ours):
        yield Change(kind="result", was=_result(recorded), now=_result(ours))
    if recorded.handler != ours.handler:
        yield Change(kind="handler", was=recorded.handler or "none", now=ours.handler or "none")
    if (recorded.winners, recorded.voters) != (ours.winners, ours.voters) or came_in(recorded) != came_in(ours):
        yield Change(kind="race", was=_race(recorded), now=_race(ours))
    if recorded.late != ours.late:
        yield Change(kind="late", was=_yes(recorded.late), now=_yes(ours.late))
    if not is_same_json(recorded.state, ours.state):
        yield from _of_json("state", recorded.state, ours.state, with_values=with_values)
    is_same_card = is_same_json(recorded.intended, ours.intended)
    if not is_same_card:
        yield from _of_json("card", recorded.intended, ours.intended, with_values=with_values)
    yield from _effects(recorded, ours, with_values=with_values)


def _result(decided: Decided) -> str:
    reason = "" if decided.reason is None else f": {_PLACE.sub('', decided.reason)}"
    return f"{decided.result}{reason}"


def _race(decided: Decided) -> str:
    return came_in(decided) or "no race"


def _yes(claim: bool) -> str:  # noqa: FBT001 (what is said in a word)
    return "yes" if claim else "no"


def _of_json(kind: Kind, was: JsonText | None, now: JsonText | None, *, with_values: bool) -> Iterator[Change]:
    for path, one, other in parts(was, now, with_values=with_values):
        yield Change(kind=kind, what=path, was=one, now=other)


_Known = tuple[str, str, str, str | None]
"""What effects of two decisions are told to be the same by: kind, target, audience, coalescing key."""


def _effects(recorded: Decided, ours: Decided, *, with_values: bool) -> Iterator[Change]:
    before, after = _by_key(recorded.effects), _by_key(ours.effects)
    told = 0
    for key in [*before, *(key for key in after if key not in before)]:
        for change in _of_key(key, before[key], after[key], recorded, ours, with_values=with_values):
            told += 1
            if told <= EFFECTS:
                yield change
    if told > EFFECTS:
        yield Change(kind="effect", what=f"and {told - EFFECTS} more")
    if not told and _orders(recorded.effects) != _orders(ours.effects):
        yield Change(kind="effect", what="order", was="as recorded", now="other")
    if len(recorded.requests) != len(ours.requests):
        was, now = (f"{len(one.requests)}" for one in (recorded, ours))
        yield Change(kind="effect", what="updates of other cards", was=was, now=now)


def _by_key(effects: Sequence[PlannedEffect]) -> defaultdict[_Known, list[PlannedEffect]]:
    found: defaultdict[_Known, list[PlannedEffect]] = defaultdict(list)
    for planned in effects:
        found[_key(planned)].append(planned)
    return found


def _key(planned: PlannedEffect) -> _Known:
    # A call's target has its place in the decision, which moves with every effect before it.
    target = "call" if planned.target.startswith("call:") else planned.target
    return type(planned.effect).__name__, target, planned.audience, planned.coalesce


def _of_key(
    key: _Known,
    before: Sequence[PlannedEffect],
    after: Sequence[PlannedEffect],
    recorded: Decided,
    ours: Decided,
    *,
    with_values: bool,
) -> Iterator[Change]:
    kind, target, *_ = key
    named = kind if target == "call" else f"{kind} of {shown_target(after[0].target if after else before[0].target)}"
    for was, now in zip(before, after, strict=False):
        if _shows(was, recorded) and _shows(now, ours):
            continue  # told as the card
        for path, one, other in parts_of(_payload(was.effect), _payload(now.effect), with_values=with_values):
            yield Change(kind="effect", what=f"{named}: {path}", was=one, now=other)
    for _ in after[len(before) :]:
        yield Change(kind="effect", what=named, was="absent", now="there")
    for _ in before[len(after) :]:
        yield Change(kind="effect", what=named, was="there", now="absent")


def _shows(planned: PlannedEffect, decided: Decided) -> bool:
    """Say whether an effect shows the card that the decision tells of."""
    return isinstance(planned.effect, UpdateCard | AnsweredCard) and planned.effect.card == decided.intended


def _payload(effect: StoredEffect) -> dict[str, Any]:
    """Return what an effect holds, the texts of JSON in it as what they are; less what the worker adds."""
    fields: dict[str, Any] = msgspec.to_builtins(effect)
    fields.pop("origin", None)
    for name in ("card", "element", "args", "body"):
        with suppress(ValueError, RecursionError):
            fields[name] = json_value(fields[name]) if isinstance(fields.get(name), str) else fields.get(name)
    return fields


def _orders(effects: Sequence[PlannedEffect]) -> dict[str, list[_Known]]:
    """Return what is to be done with each target, in its order: across targets none is promised."""
    found: defaultdict[str, list[_Known]] = defaultdict(list)
    for planned in effects:
        key = _key(planned)
        found[key[1]].append(key)
    return dict(found)
