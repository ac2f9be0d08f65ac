"""The kind of setting that names rate limits: of the worker, which keeps to them, and of the simulator's platform."""

import re
from dataclasses import replace
from typing import Final

from shared.feishu.limits import ApiRate, Limits
from shared.settings.declare import Kind

_RATES: Final = re.compile(r"([1-9][0-9]{0,6})/s ([1-9][0-9]{0,6})/min")


def _limits(text: str) -> Limits:
    if text == "none":
        return Limits().unlimited()
    if (rates := _RATES.fullmatch(text)) is not None:
        return replace(Limits(), api=ApiRate(per_second=float(rates[1]), per_minute=float(rates[2])))
    factor = float(text)
    if not 0 < factor < float("inf"):
        raise ValueError("not positive")
    return Limits().times(factor)


LIMITS: Final = Kind(
    name="number, rates or none", expected="a number greater than 0, calls as 50/s 1000/min, or none", parse=_limits
)
