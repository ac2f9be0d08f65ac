"""What became of the gateways, and whether the row proves anything: the last rules of `tests.chaos.matrix.rules`."""

from collections.abc import Iterator
from typing import Final

from tests.chaos.matrix.facts import Facts

ON_TIME_MS: Final = 1_000
"""A client that sends much later is no open loop any more. Answers count from the intended time in any case."""


def drains(facts: Facts) -> Iterator[str]:
    """Without help; and nothing is left on the disk."""
    newest = {gateway: samples[-1] for (gateway, _), samples in sorted(facts.lives.items())}
    if not newest:
        yield "no gateway told anything"
    for sample in newest.values():
        if not sample.is_quiet:
            yield f"at last: {sample}"
    if facts.history.in_folder:
        yield f"left in the folder of spills: {', '.join(facts.history.in_folder)}"


def nobody_ended(facts: Facts) -> Iterator[str]:
    """Only those that were killed, and those that were told to."""
    for ended in facts.history.ended:
        yield f"{ended.name} ended by itself at {ended.at} with exit code {ended.code}: {ended.last_line}"


def was_offered(facts: Facts) -> Iterator[str]:
    """All clicks left, none much later than it was meant to."""
    wanted = facts.history.demands.clicks
    numbers = sorted(int(event_id.rpartition("-")[2]) for event_id in facts.clicks)
    if len(numbers) < wanted or numbers != list(range(len(numbers))):
        yield f"{len(numbers)} clicks were sent, up to number {max(numbers, default=0)}; {wanted} were wanted"
    late = sorted(each.sending.sent_at - each.sending.intended_at for each in facts.history.attempts)
    if late and late[len(late) * 99 // 100] > ON_TIME_MS:
        yield f"one click in a hundred was sent {late[len(late) * 99 // 100]:.0f} ms after its time, or later"


def was_broken(facts: Facts) -> Iterator[str]:
    """What was to go wrong did, so that the other rules mean something."""
    demands = facts.history.demands
    left = sum(each.over is not None and each.over.ending == "left" for each in facts.history.attempts)
    seen = {
        "clicks came when all was as before": (_came_afterwards(facts), demands.afterwards),
        "records went through the spill": (facts.spilled, demands.spilled),
        "gateways were killed": (sum(map(len, facts.kills.values())), demands.kills),
        "clicks were refused": (len(facts.refused), demands.refused),
        "clients left": (left, demands.left),
        "log lines were lost": (facts.lines_lost, demands.lines_lost),
    }
    for what, (number, wanted) in seen.items():
        if number < wanted:
            yield f"{number} {what}, {wanted} were wanted"


def _came_afterwards(facts: Facts) -> int:
    """Return how many clicks came after the first look, behind all faults, at which every gateway was quiet."""
    over = max((fault.at for fault in facts.history.faults), default=facts.history.began_at)
    quiet: dict[int, bool] = {}
    for sample in facts.history.samples:
        if sample.at > over:
            quiet[sample.gateway] = sample.is_quiet
            if len(quiet) == len({each.gateway for each in facts.history.samples}) and all(quiet.values()):
                return sum(attempts[0].sending.sent_at > sample.at for attempts in facts.clicks.values())
    return 0
