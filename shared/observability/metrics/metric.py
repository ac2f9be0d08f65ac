"""What a number is: its name, its meaning, what it is split by."""

from dataclasses import dataclass
from typing import Final, Literal

ANSWER_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
"""Seconds up to the platform's deadline for an answer: fine where we promise, and one at 2.5 and at 3."""


EFFECT_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 60.0, 600.0)
"""Seconds from a click to its update: 0.3 of them are the settle gap."""

Together = Literal["sum", "largest", "smallest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """
    One number.

    Attributes:
        name: As Prometheus shows it, less the ``_total``, ``_bucket`` … that the kind adds.
        meaning: What it counts or measures, with its unit.
        labels: What it is split by.
        buckets: Upper bounds, of a histogram.
        together: What several processes of one gateway show of a gauge; all else is added up.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    together: Together = "sum"
