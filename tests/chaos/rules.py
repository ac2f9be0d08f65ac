"""
The rules: what a history must be like if every promise was kept, whatever was killed meanwhile.

Each rule is a function of the facts that yields the evidence against its promise, one line for each case. Numbers
G1 to G8 are those of the README's table of guarantees.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Final

from shared.core.effects import RenameChat, SendText
from shared.core.events import Decided
from tests.chaos.early import shown, standing, too_early, unjust_reverts
from tests.chaos.facts import Facts
from tests.chaos.handlers import clicks_shown, event_shown
from tests.chaos.history import Ended, Line
from tests.support.fold_equals_ledger import differences, rows
from tests.support.proved import broken_promises

NO_ANSWER_IN_TIME: Final = 200_341
"""The client's code for a receiver that took longer than three seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One promise, and how its breach shows.

    Attributes:
        name: What is promised, in a few words.
        guarantee: Its number in the table of guarantees; empty: a demand on the run itself.
        breaches: Yields the evidence of each breach.
    """

    name: str
    guarantee: str
    breaches: Callable[[Facts], Iterator[str]]


def _accepted_is_logged(facts: Facts) -> Iterator[str]:
    for event_id, click in facts.clicks.items():
        if click.is_accepted and event_id not in facts.received:
            yield f"{event_id} on {click.message_id} was accepted ({click.attempts[-1]}) and is not in the log"


def _every_card_counts(facts: Facts) -> Iterator[str]:
    events = Counter(
        str(records[0].event.message_id)
        for event_id, records in facts.received.items()
        if event_id not in facts.poisoned
    )
    for message_id, card in facts.cards.items():
        expected = events[message_id]
        stored = facts.stored_cards.get(message_id)
        state = json.loads(stored.columns["state"])["clicks"] if stored else 0
        on_screen = clicks_shown(shown(facts, card))
        if not expected == state == on_screen:
            yield f"{message_id}: {expected} events in the log, {state} counted in the ledger, {on_screen} shown"


def _decided_once(facts: Facts) -> Iterator[str]:
    for event_id in facts.received.keys() | facts.decisions.keys():
        decisions = facts.decisions.get(event_id, ())
        texts = {(decision.line.headers, decision.line.value) for decision in decisions}
        if len(texts) != 1:
            yield f"{event_id}: {len(texts)} different decisions at {[d.line.offset for d in decisions]}"
        elif event_id not in facts.received:
            yield f"{event_id} was decided and is not in the log"
        elif decisions[0].event.result != ("failed" if event_id in facts.poisoned else "decided"):
            yield f"{event_id}: {decisions[0].event.result} ({decisions[0].event.reason})"


def _versions_have_no_gap(facts: Facts) -> Iterator[str]:
    for message_id, story in facts.stories.items():
        versions = sorted(decided.version for decided in story)
        if versions != list(range(1, len(story) + 1)):
            yield f"{message_id}: versions {versions}"


def _log_order(facts: Facts) -> Iterator[str]:
    for message_id, story in facts.stories.items():
        for earlier, later in pairwise(story):
            if earlier.version > later.version:
                yield f"{message_id}: version {later.version} is told after version {earlier.version}"
        for earlier, later in pairwise(sorted(story, key=lambda decided: decided.version)):
            if (earlier.partition, earlier.offset) >= (later.partition, later.offset):
                yield f"{message_id}: {_place(later)} was decided after {_place(earlier)}"
    for event_id, records in facts.received.items():
        first = records[0].line
        for _, decided in facts.decisions.get(event_id, ()):
            if (decided.partition, decided.offset) != (first.partition, first.offset):
                yield f"{event_id} came at {first.partition}/{first.offset} and was decided at {_place(decided)}"


def _sent_once(facts: Facts) -> Iterator[str]:
    sent = Counter(text for chat in facts.history.chats for text in chat.texts)
    wanted = {
        effect.effect.text: (decided.event_id, effect.index)
        for decided, effect in facts.planned
        if isinstance(effect.effect, SendText)
    }
    for text in sent.keys() | wanted.keys():
        if sent[text] != 1 or text not in wanted:
            yield f"{wanted.get(text, 'nobody decided this')}: {text!r} was sent {sent[text]} times"


def _effects_end_well(facts: Facts) -> Iterator[str]:
    for decided, effect in facts.planned:
        result = facts.results.get((decided.event_id, effect.index))
        kind = type(effect.effect).__name__
        if result is None or not result.final:
            yield f"{decided.event_id}/{effect.index} {kind}: no final outcome ({result and result.status})"
        elif result.status not in {"succeeded", "superseded"}:
            yield f"{decided.event_id}/{effect.index} {kind}: {result.status} ({result.reason}, code {result.code})"


def _shown_is_intended(facts: Facts) -> Iterator[str]:
    for message_id, card in facts.cards.items():
        newest, on_screen = facts.newest.get(message_id), shown(facts, card)
        if newest is not None and json.loads(newest.intended or "null") != json.loads(on_screen):
            yield f"{message_id} shows {event_shown(on_screen)!r}, the newest decision is {newest.event_id!r}"


def _newest_name(facts: Facts) -> Iterator[str]:
    newest: dict[str, tuple[tuple[int, int, str, int], str]] = {}
    for decided, effect in facts.planned:
        if isinstance(effect.effect, RenameChat) and decided.event_id in facts.received:
            click = facts.received[decided.event_id][0].event
            order = (click.occurred_at, click.received_at, str(click.event_id), effect.index)
            chat_id = str(click.chat_id)
            newest[chat_id] = max(newest.get(chat_id, (order, "")), (order, effect.effect.name))
    for chat_id, (_, name) in newest.items():
        chat = facts.chats.get(chat_id)
        if chat is None or chat.names[-1] != name:
            yield f"{chat_id} is called {chat and chat.names[-1]!r}, not {name!r}"


def _updates_follow_answers(facts: Facts) -> Iterator[str]:
    for message_id, card in facts.cards.items():
        unjust = unjust_reverts(facts, card)
        for version in card.versions:
            if version.by == "revert" and version not in unjust:
                yield f"{message_id} was turned back at {version.at}: an update came before its click's answer"
            elif version.by != "revert" and standing(facts, version) == "early":
                event_id, by_ms = event_shown(version.card), too_early(facts, version)
                yield f"{message_id} was updated for {event_id} at {version.at}, {by_ms} ms too early"


def _answered_in_time(facts: Facts) -> Iterator[str]:
    deliveries = facts.history.deliveries
    late = [delivered for delivered in deliveries if delivered.client_error == NO_ANSWER_IN_TIME]
    if len(late) > facts.history.demands.late * len(deliveries):
        yield f"{len(late)} of {len(deliveries)} deliveries were not answered in time, as that of {late[0].event_id}"


def _calls_succeed(facts: Facts) -> Iterator[str]:
    for call in facts.history.calls:
        if call.code != 0 and call.fault is None:
            yield f"call {call.n} at {call.at}: {call.method} {call.path} was refused with code {call.code}"


def _within_limits(facts: Facts) -> Iterator[str]:
    for broken in facts.history.broken:
        if broken.rule != "update_before_answer":  # judged above, by click instead of by card
            yield f"{broken.rule} at {broken.at}: {broken.api} {broken.target}"


def _rebuilt_is_ledger(facts: Facts) -> Iterator[str]:
    yield from facts.history.unlike


def _fold_is_ledger(facts: Facts) -> Iterator[str]:
    stored = {(row.table, row.key): row.columns for row in facts.history.ledger}
    yield from map(str, differences(rows(facts.folded), stored))


def _proves_itself(facts: Facts) -> Iterator[str]:
    yield from broken_promises(map(Line.record, facts.history.interactions), map(Line.record, facts.history.outcomes))


def _quiet(facts: Facts) -> Iterator[str]:
    yield from facts.history.unquiet


def _nobody_ended(facts: Facts) -> Iterator[str]:
    for ended in facts.history.ended:
        if not ended.was_ready and _broker_was_away(facts, ended):
            continue  # one that starts while its log is away says so and ends
        yield f"{ended.name} ended by itself at {ended.at} with exit code {ended.code}: {ended.last_line}"


def _broker_was_away(facts: Facts, ended: Ended) -> bool:
    downs = [fault.at for fault in facts.history.faults if fault.kind == "down"]
    ups = [fault.at for fault in facts.history.faults if fault.kind == "up"]
    return any(down <= ended.at and ended.started_at <= up for down, up in zip_longest(downs, ups, fillvalue=ended.at))


def _enough_accepted(facts: Facts) -> Iterator[str]:
    clicks = facts.history.clicks
    accepted = sum(click.is_accepted for click in clicks)
    if accepted < facts.history.demands.accepted * len(clicks):
        yield f"{accepted} of {len(clicks)} clicks were accepted"


def _enough_kills(facts: Facts) -> Iterator[str]:
    history = facts.history
    during = [fault for fault in history.faults if history.began_at <= fault.at <= history.ended_at]
    done = Counter(fault.role for fault in during if fault.kind == "kill")
    for role, least in history.demands.kills.items():
        if done[role] < least:
            yield f"{done[role]} kills of {role} while clicks were sent, {least} were wanted"


def _place(decided: Decided) -> str:
    return f"{decided.event_id} at {decided.partition}/{decided.offset}"


RULES: Final[Sequence[Rule]] = (
    Rule(name="every accepted click is in the log", guarantee="G1", breaches=_accepted_is_logged),
    Rule(name="callbacks are answered in time", guarantee="G2", breaches=_answered_in_time),
    Rule(name="every card counts its events", guarantee="G3", breaches=_every_card_counts),
    Rule(name="every event is decided once", guarantee="G3", breaches=_decided_once),
    Rule(name="versions have no gap", guarantee="G3", breaches=_versions_have_no_gap),
    Rule(name="every text is sent once", guarantee="G4", breaches=_sent_once),
    Rule(name="every effect ends well", guarantee="G4", breaches=_effects_end_well),
    Rule(name="every card shows what was decided last", guarantee="G4", breaches=_shown_is_intended),
    Rule(name="every chat has its newest name", guarantee="G4", breaches=_newest_name),
    Rule(name="cards are decided in log order", guarantee="G5", breaches=_log_order),
    Rule(name="no update leaves before its click's answer", guarantee="G6", breaches=_updates_follow_answers),
    Rule(name="no call is made that must fail", guarantee="G7", breaches=_calls_succeed),
    Rule(name="no limit is exceeded", guarantee="G8", breaches=_within_limits),
    Rule(name="the fold of the log is the ledger", guarantee="G10", breaches=_fold_is_ledger),
    Rule(name="a ledger rebuilt from the log is the ledger", guarantee="G10", breaches=_rebuilt_is_ledger),
    Rule(name="the log alone proves it", guarantee="", breaches=_proves_itself),
    Rule(name="all work is done in the end", guarantee="", breaches=_quiet),
    Rule(name="no process ends by itself", guarantee="", breaches=_nobody_ended),
    Rule(name="most clicks are accepted", guarantee="", breaches=_enough_accepted),
    Rule(name="enough was killed to prove anything", guarantee="", breaches=_enough_kills),
)
