"""What the log tells of a card beside the ledger's story, in words (pure): its versions, and what is not decided."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cardwire.cli.moments import Moment
from shared.core.events import Asked, Decided
from shared.core.ids import EventId, MessageId
from shared.core.json_diff import Change, text_diff
from shared.core.json_text import JsonText
from worker.history.card import Logged


def others(message_id: MessageId, logged: Sequence[Logged], *, with_values: bool) -> Sequence[Moment]:
    """
    Return what the ledger does not tell: each version of the card, what changed in it, and what is not decided.

    Args:
        with_values: Also how each version differs from the one before it.
    """
    decided: dict[tuple[EventId, int], Decided] = {}
    undecided: dict[EventId, Moment] = {}
    for one in logged:
        if isinstance(one.event, Decided) and one.event.message_id == message_id:
            decided.setdefault((one.event.event_id, one.event.redrive), one.event)
        elif isinstance(one.event, Asked):
            undecided.setdefault(one.event.event_id, _undecided(one, one.event))
    known = {event_id for event_id, _ in decided}
    waiting = [moment for event_id, moment in undecided.items() if event_id not in known]
    return [*_versions(decided.values(), with_values=with_values), *waiting]


def _versions(decided: Iterable[Decided], *, with_values: bool) -> Iterator[Moment]:
    before: JsonText | None = None
    for one in sorted(decided, key=lambda each: each.version):
        if one.version:
            yield _version(one, text_diff(before, one.intended) if with_values else ())
            before = one.intended


def _version(decided: Decided, changes: Sequence[Change]) -> Moment:
    facts: Mapping[str, object] = {"version": decided.version, "handler": decided.handler}
    text = f"version {decided.version}"
    return Moment(
        at=decided.decided_at, what="version", event_id=decided.event_id, text=text, facts=facts, changes=changes
    )


def _undecided(one: Logged, asked: Asked) -> Moment:
    text = "not decided: not yet, or it repeats another one, or it was put aside"
    facts = {"partition": one.partition, "offset": one.offset}
    return Moment(at=asked.received_at, what="undecided", event_id=asked.event_id, text=text, facts=facts)
