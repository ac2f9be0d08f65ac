"""
Faults: small values with a time, drawn from a seed, so that the same seed repeats the same run of bad luck.

A new fault is a value here and one case in `tests.chaos.breaking`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["gateway", "worker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End one process at once (SIGKILL); its supervisor starts it again. ``at_s`` counts from the first click."""

    at_s: float
    role: Role
    nth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartBroker:
    """Stop the broker, in an orderly way or at once, and start it again on its data."""

    at_s: float
    how: Literal["stop", "kill"]


Fault = Kill | RestartBroker


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfortune:
    """
    How much goes wrong.

    Attributes:
        kills: How many processes are killed in all.
        least: How many of each role at least.
        processes: How many there are of each role.
        broker_restarts: How often the broker is restarted.
    """

    kills: int
    least: int
    processes: Mapping[Role, int]
    broker_restarts: int


def draw(seed: int, misfortune: Misfortune, *, during_s: float) -> Sequence[Fault]:
    """Return the faults of a run whose clicks are sent for ``during_s``: spread over that time, in order."""
    rng = random.Random(seed)
    roles = list(misfortune.processes)
    chosen = [role for role in roles for _ in range(misfortune.least)]
    chosen += rng.choices(roles, k=max(0, misfortune.kills - len(chosen)))
    rng.shuffle(chosen)
    kills: list[Fault] = [
        Kill(at_s=at_s, role=role, nth=rng.randrange(misfortune.processes[role]))
        for role, at_s in zip(
            chosen, _spread(rng, len(chosen), from_s=0.05 * during_s, to_s=0.85 * during_s), strict=True
        )
    ]
    restarts: list[Fault] = [
        RestartBroker(at_s=at_s, how=rng.choice(("stop", "kill")))
        for at_s in _spread(rng, misfortune.broker_restarts, from_s=0.25 * during_s, to_s=0.6 * during_s)
    ]
    return sorted([*kills, *restarts], key=lambda fault: fault.at_s)


def _spread(rng: random.Random, count: int, *, from_s: float, to_s: float) -> Sequence[float]:
    """Return one time in each of ``count`` equal parts: chance decides when, but never that all come at once."""
    part = (to_s - from_s) / max(1, count)
    return [from_s + part * (number + rng.random()) for number in range(count)]
