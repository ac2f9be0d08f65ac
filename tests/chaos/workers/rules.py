"""
The rules of a row: those of every run of chaos, and what must hold while one thing is broken.

How soon callbacks are answered is left to the gateway's matrix; here the gateway is well.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shared.core.events import EffectOutcome
from tests.chaos import checker
from tests.chaos.checker import Violation
from tests.chaos.facts import Facts
from tests.chaos.history import Call, History
from tests.chaos.rules import RULES as OF_EVERY_RUN
from tests.chaos.rules import Rule
from tests.chaos.workers.facts import RowFacts, calls_by_fault
from tests.chaos.workers.rows import RESET_MS

ENOUGH: Final = "enough was broken to prove anything"

LEARNED_MS: Final = 2_800
"""
After a 429 to one worker another may still make the calls whose time it had reserved before, up to 2 s ahead, each of
them once; the rest is for a busy machine.
"""

EARLY_MS: Final = 100
"""How much earlier than told a call may come: the platform's time to answer, and whole milliseconds."""

CLOCK_MS: Final = 2_000
"""How far what is told may be from the machine's clock: less than a wrong clock is wrong."""


def check(history: History) -> list[Violation]:
    """Return every violation in a row's history, in the order of the rules."""
    return checker.check(history, RULES)


def _kept_up(facts: Facts) -> Iterator[str]:
    for shown in RowFacts(facts).shown:
        if shown.waited_ms > shown.may_ms:
            yield (
                f"{shown.event_id} on {shown.message_id} came at {shown.came_at} and was shown after "
                f"{shown.waited_ms:.0f} ms, {shown.may_ms:.0f} were allowed"
            )


def _waits_as_told(facts: Facts) -> Iterator[str]:
    by_api: dict[str, list[Call]] = defaultdict(list)
    for call in facts.history.calls:
        by_api[call.api].append(call)
    for calls in by_api.values():
        for refused in calls:
            if refused.fault == "429":
                since, until = refused.at + LEARNED_MS, refused.at + RESET_MS - EARLY_MS
                yield from (
                    f"call {call.n} of {call.api} came {call.at - refused.at} ms after call {refused.n} was told to "
                    f"wait {RESET_MS} ms"
                    for call in calls
                    if since < call.at < until
                )


def _ledgers_time(facts: Facts) -> Iterator[str]:
    for event_id, decisions in facts.decisions.items():
        received, decided = facts.received.get(event_id, ()), decisions[0].event
        if received and decided.decided_at < received[0].event.received_at - CLOCK_MS:
            yield f"{event_id} came at {received[0].event.received_at} and was decided at {decided.decided_at}"
    calls: dict[str, list[int]] = defaultdict(list)
    for call in facts.history.calls:
        calls[call.target or ""].append(call.at)
    for result in facts.results.values():
        if not _made(calls.get(str(result.message_id), ()), result):
            yield (
                f"{result.event_id}/{result.index} was performed from {result.started_at} to {result.finished_at}, "
                "and no call came then"
            )


def _made(calls: Sequence[int], result: EffectOutcome) -> bool:
    if result.kind != "UpdateCard" or result.status != "succeeded" or result.started_at is None:
        return True
    return any(result.started_at - CLOCK_MS <= at <= result.finished_at + CLOCK_MS for at in calls)


def _was_broken(facts: Facts) -> Iterator[str]:
    history, row = facts.history, RowFacts(facts)
    demands = history.demands
    done, befell = Counter(fault.kind for fault in history.faults), calls_by_fault(facts)
    failed = [decisions[0] for decisions in facts.decisions.values() if decisions[0].event.result == "failed"]
    calm = [shown for shown in row.shown if shown.is_calm and any(hang.has(shown.came_at) for hang in row.hangs)]
    seen = {
        **{f"faults {kind!r} were done": (done[kind], least) for kind, least in demands.done.items()},
        **{f"calls met {fault!r}": (_met(befell, fault), least) for fault, least in demands.faulted.items()},
        "clicks could not be decided": (len(failed), demands.failed),
        "clicks on a card that hung had to wait": (len(row.held_up), demands.hung),
        "clicks on other cards came in calm": (len(calm), demands.calm),
    }
    for what, (number, wanted) in seen.items():
        if number < wanted:
            yield f"{number} {what}, {wanted} were wanted"


def _met(befell: Mapping[tuple[str, str], int], fault: str) -> int:
    kind, _, api = fault.partition(" ")
    return sum(calls for (met, of), calls in befell.items() if met == kind and (not api or of == api))


RULES: Final[Sequence[Rule]] = (
    *(rule for rule in OF_EVERY_RUN if rule.guarantee != "G2"),
    Rule(name="what a 429 says to wait is waited", guarantee="G8", breaches=_waits_as_told),
    Rule(name="no card waits for another", guarantee="G9", breaches=_kept_up),
    Rule(name="all times are the ledger's", guarantee="", breaches=_ledgers_time),
    Rule(name=ENOUGH, guarantee="", breaches=_was_broken),
)
