"""
What the log tells of one card: the records under its key, inputs and outcomes, and those of its own sending.

A card that Cardwire sent was sent by a decision about something else, another card's click or a request. That decision,
and what became of it, lie under the sender's key, in any partition: so all outcomes are looked through.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.core.codec import readable
from shared.core.effects import Reply, SendCard, StoredEffect
from shared.core.events import Decided, EffectOutcome, Event
from shared.core.ids import AppId, EventId, MessageId, ordering_key
from shared.eventlog.partition import partition_of
from shared.eventlog.port import EventLog, Span, Topics
from worker.history.naming import Naming
from worker.history.walk import walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """An event, and where it lies in its topic."""

    event: Event
    partition: int
    offset: int


async def logged_of_card(
    event_log: EventLog, topics: Topics, message_id: MessageId, *, app_id: AppId | None = None
) -> Mapping[AppId, Sequence[Logged]]:
    """
    Return what is recorded about a card, by app: inputs, then what tells of its sending, then outcomes.

    Each in the order of the log. Of its sending: the outcome by which the platform made it, and the decision that
    wanted it, as long as the log has that; both are about another card, or about none.

    Args:
        app_id: Its app, if that is known: then of the inputs only the card's partition is read.

    Raises:
        LogUnavailable: The log cannot be read.
        NewerThanUs: It was written by a newer program.
    """
    inputs = _only_of(message_id, app_id, await event_log.spans(topics.interactions))
    outcomes = await event_log.spans(topics.outcomes)
    asked = [one async for one in _naming(message_id, event_log, topics.interactions, inputs)]
    told = [one async for one in _naming(message_id, event_log, topics.outcomes, outcomes)]
    sending = [
        one for sent in _sends(told, message_id) for one in await _sending(sent, event_log, topics.outcomes, outcomes)
    ]
    found: dict[AppId, list[Logged]] = {}
    for one in [*_about(asked, message_id), *sending, *_about(told, message_id)]:
        if app_id in {None, one.event.app_id}:
            found.setdefault(one.event.app_id, []).append(one)
    return found


def _about(logged: Sequence[Logged], message_id: MessageId) -> Iterator[Logged]:
    return (one for one in logged if one.event.message_id == message_id)


def _sends(logged: Sequence[Logged], message_id: MessageId) -> Sequence[tuple[EffectOutcome, Logged]]:
    """Return the outcomes by which a message was made, each once, however often they were told."""
    found: dict[tuple[AppId, EventId, int], tuple[EffectOutcome, Logged]] = {}
    for one in logged:
        if isinstance(one.event, EffectOutcome) and one.event.sent_message_id == message_id:
            outcome = one.event
            found.setdefault((outcome.app_id, outcome.event_id, outcome.index), (outcome, one))
    return list(found.values())


def _only_of(message_id: MessageId, app_id: AppId | None, spans: Mapping[int, Span]) -> Mapping[int, Span]:
    """Return the partitions in which a card's inputs lie: of a known app, one."""
    if app_id is None or not spans:
        return spans
    number = partition_of(ordering_key(app_id, message_id, EventId("")), len(spans))
    return {number: spans[number]}


async def _naming(
    given: MessageId | EventId, event_log: EventLog, topic: str, spans: Mapping[int, Span]
) -> AsyncIterator[Logged]:
    """Yield the events that name an id, partition by partition."""
    names = Naming.of(given)
    for partition, span in sorted(spans.items()):
        async for piece in walk(event_log, topic, partition, begin=span.begin, end=span.end):
            for record in filter(names, piece):
                if (event := readable(record.headers, record.value)) is not None:
                    yield Logged(event=event, partition=partition, offset=record.offset)


async def _sending(
    sent: tuple[EffectOutcome, Logged], event_log: EventLog, topic: str, spans: Mapping[int, Span]
) -> Sequence[Logged]:
    """Return what tells of a message's sending, if it is a card: the decisions before it that wanted it, and it."""
    outcome, of = sent
    before = {of.partition: Span(begin=spans[of.partition].begin, end=of.offset)}
    named = [one async for one in _naming(outcome.event_id, event_log, topic, before)]
    wanted = [(one, effect) for one in named for effect in _wanted(one.event, outcome)]
    is_card = any(_is_card(effect) for _, effect in wanted) if wanted else outcome.kind == SendCard.__name__
    return [*(one for one, _ in wanted), of] if is_card else []


def _wanted(event: Event, outcome: EffectOutcome) -> Iterator[StoredEffect]:
    """Yield the effect that an outcome is of, if this is the decision that wanted it."""
    if isinstance(event, Decided) and (event.app_id, event.event_id) == (outcome.app_id, outcome.event_id):
        yield from (planned.effect for planned in event.effects if planned.index == outcome.index)


def _is_card(effect: StoredEffect) -> bool:
    return isinstance(effect, SendCard | Reply) and effect.card is not None
