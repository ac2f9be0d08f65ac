"""How much of the platform's limits this worker uses: its calls by second, for a minute (pure)."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

from shared.core.ids import AppId
from shared.feishu.api_names import shown_api
from shared.feishu.limits import Limits

MINUTE_S: Final = 60


class Use:
    """The calls of the last minute. Bounded: a number for each second, app and API."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, Counter[tuple[AppId, str]]]] = deque()

    def called(self, app_id: AppId, api: str, at_s: float) -> None:
        """Note a call that began then."""
        second = int(at_s)
        if not self._seconds or self._seconds[-1][0] < second:
            self._forget(at_s)
            self._seconds.append((second, Counter()))
        self._seconds[-1][1][app_id, api] += 1

    def shares(self, limits: Limits, now_s: float) -> Mapping[tuple[str, ...], float]:
        """
        Return the shares of the limits by app, API and window: of the minute, and of its busiest second.

        Of the APIs that are shown as one, the most used.
        """
        self._forget(now_s)
        minute: Counter[tuple[AppId, str]] = Counter()
        busiest: Counter[tuple[AppId, str]] = Counter()
        for _, calls in self._seconds:
            minute += calls
            busiest |= calls
        found: dict[tuple[str, ...], float] = {}
        for (app_id, api), number in minute.items():
            limit, shown = limits.of(api), (app_id, shown_api(api))
            in_second = busiest[app_id, api] / limit.per_second
            found[*shown, "minute"] = max(number / limit.per_minute, found.get((*shown, "minute"), 0))
            found[*shown, "second"] = max(in_second, found.get((*shown, "second"), 0))
        return found

    def _forget(self, now_s: float) -> None:
        while self._seconds and self._seconds[0][0] <= now_s - MINUTE_S:
            self._seconds.popleft()
