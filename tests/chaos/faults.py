"""
Faults: small values with a time, drawn or moved by a seed, so that the same seed repeats the same run of bad luck.

A new fault is a value here and one case in `tests.chaos.breaking`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

Role = Literal["gateway", "worker"]
Service = Literal["broker", "database"]

SHIFT_S: Final = 0.5
"""How far a seed moves a fault whose time is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End one process at once (SIGKILL); its supervisor starts it again. ``at_s`` counts from the first click."""

    at_s: float
    role: Role
    nth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Stop a service, in an orderly way or at once, and start it again on its data ``for_s`` later."""

    at_s: float
    what: Service
    how: Literal["stop", "kill"]
    for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Let a worker stand still (SIGSTOP) for ``for_s``: it comes back and believes that nothing happened."""

    at_s: float
    for_s: float
    nth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Start so many workers more, and end them in an orderly way ``for_s`` after they were ready."""

    at_s: float
    for_s: float
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """One rule of the simulated platform (docs/reference/simulator.md); ``{hung}`` in a path is the second card."""

    path: str
    kind: Literal["delay", "429", "500", "drop_before", "drop_after", "duplicate"]
    p: float
    ms: int = 0

    def on(self, hung: str) -> Mapping[str, Any]:
        """Return it as the simulator takes it."""
        return {"path": self.path.format(hung=hung), "kind": self.kind, "p": self.p, "ms": self.ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """
    The platform behaves badly for ``for_s``.

    Attributes:
        how: ``away``: no call succeeds. ``bad``: some do. ``hangs``: one card's calls do not come back.
    """

    at_s: float
    for_s: float
    how: Literal["away", "bad", "hangs"]
    spells: tuple[Spell, ...]


Fault = Kill | Restart | Freeze | Join | Weather


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
        Restart(at_s=at_s, what="broker", how=rng.choice(("stop", "kill")))
        for at_s in _spread(rng, misfortune.broker_restarts, from_s=0.25 * during_s, to_s=0.6 * during_s)
    ]
    return sorted([*kills, *restarts], key=lambda fault: fault.at_s)


def shifted(seed: int, faults: Sequence[Fault], *, processes: int) -> Sequence[Fault]:
    """
    Return faults whose times are given, each moved a little and done to another process, in order.

    Args:
        processes: How many there are of each role.
    """
    rng = random.Random(seed)
    first = rng.randrange(processes)
    moved = [_with_nth(replace(fault, at_s=fault.at_s + rng.uniform(-SHIFT_S, SHIFT_S)), first) for fault in faults]
    return sorted(moved, key=lambda fault: fault.at_s)


def _with_nth(fault: Fault, first: int) -> Fault:
    return replace(fault, nth=fault.nth + first) if isinstance(fault, Kill | Freeze) else fault


def _spread(rng: random.Random, count: int, *, from_s: float, to_s: float) -> Sequence[float]:
    """Return one time in each of ``count`` equal parts: chance decides when, but never that all come at once."""
    part = (to_s - from_s) / max(1, count)
    return [from_s + part * (number + rng.random()) for number in range(count)]
