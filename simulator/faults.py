"""
Faults on the way, chosen by a seed.

A rule fires or not by a hash of the seed, the rule, the path and how often that path was called: never by the order
in which different paths arrive, which no test can repeat.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

FaultKind = Literal["delay", "429", "500", "drop_before", "drop_after", "duplicate"]
"""
``delay``: handled ``ms`` later. ``429``, ``500``: refused, nothing done. ``drop_before``: the connection closes,
nothing was done. ``drop_after``: it was done, the connection closes without an answer. ``duplicate``: done twice, as
by a network that repeats a request.
"""

ON_CALLBACKS = frozenset[FaultKind]({"delay", "drop_before", "drop_after", "duplicate"})
"""The kinds that also make sense on the way to the receiver of callbacks."""

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """
    One rule.

    Attributes:
        path: Which paths: a pattern with ``*`` and ``?``, of the OpenAPI or of the receiver's address.
        p: How probable it is, from 0 to 1.
        ms: How long a delay lasts, or what a 429 tells to wait: whole seconds, at least one.
    """

    path: str
    kind: FaultKind
    p: float
    ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """What befalls one call: a delay, and at most one other fault; a 429 says to come back after ``reset_s``."""

    delay_ms: int = 0
    kind: FaultKind | None = None
    reset_s: int = 1


HARMLESS = Faulty()


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._seed = 0
        self._rules: tuple[FaultRule, ...] = ()
        self._met: Counter[tuple[int, str]] = Counter()

    def set(self, seed: int, rules: Iterable[FaultRule]) -> None:
        """Put other rules in force and begin to count anew; no rules: no faults."""
        self._seed = seed
        self._rules = tuple(rules)
        self._met.clear()

    def meet(self, method: str, path: str, kinds: Iterable[FaultKind] = FAULT_KINDS) -> Faulty:
        """Return what befalls this call. Delays add up; of the other kinds, the first rule that fires counts."""
        if not self._rules:
            return HARMLESS
        delay_ms, kind, reset_s = 0, None, 1
        for index, rule in enumerate(self._rules):
            if rule.kind not in kinds or not fnmatchcase(path, rule.path) or not self._fires(index, rule, method, path):
                continue
            if rule.kind == "delay":
                delay_ms += rule.ms
            elif kind is None:
                kind, reset_s = rule.kind, max(1, -(-rule.ms // 1000))
        return Faulty(delay_ms=delay_ms, kind=kind, reset_s=reset_s)

    def _fires(self, index: int, rule: FaultRule, method: str, path: str) -> bool:
        key = (index, f"{method} {path}")
        self._met[key] += 1
        drawn = hashlib.blake2b(f"{self._seed}/{index}/{key[1]}/{self._met[key]}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn) / 2**64 < rule.p
