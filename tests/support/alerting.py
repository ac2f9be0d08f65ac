"""What Prometheus would make of an alert's expression, as far as ours go: comparisons of sums, joined by ``or``."""

import re
from pathlib import Path
from typing import Final

ALERTS: Final = Path(__file__).parents[2] / "deploy" / "alerts.yml"

_EXPRESSION: Final = re.compile(r"- alert: (\w+)\n +expr: (.+)\n")
_COMPARED: Final = re.compile(r"(max|sum)\((\w+)\) > ([0-9.]+)")
_ABSENT: Final = re.compile(r"absent\((\w+)\)")


def holds(alert: str, exposition: str) -> bool:
    """Say whether an alert's expression holds for one process's page."""
    expressions = dict(_EXPRESSION.findall(ALERTS.read_text()))
    return any(_term_holds(term, exposition) for term in expressions[alert].split(" or "))


def _term_holds(term: str, exposition: str) -> bool:
    if absent := _ABSENT.fullmatch(term):
        return not _values(absent[1], exposition)
    compared = _COMPARED.fullmatch(term)
    assert compared is not None, f"not understood: {term}"
    values = _values(compared[2], exposition)
    together = sum(values) if compared[1] == "sum" else max(values, default=0)
    return bool(values) and together > float(compared[3])


def _values(name: str, exposition: str) -> list[float]:
    return [float(text) for text in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", exposition, re.MULTILINE)]
