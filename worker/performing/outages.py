"""
Each app's breaker, and the two lines of an outage: one when an app's calls begin to be held back, one when they go on.

Lines of single attempts say what each effect met; only these say that the platform is away, for whom, and since when.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

import structlog

from shared.core.ids import AppId, Target
from shared.core.json_text import EpochMs
from shared.feishu.openapi import PlatformError
from worker.meter import Meter
from worker.platform.breaker import CLOSED, Breaker, Closed, after_call, retry_at, with_call
from worker.platform.performed import Done, Failure, Found, FoundEntity, NoToken, Rejected, Unreached, Unsure
from worker.settings import UNKNOWN_HINT

CREDENTIALS_HINT: Final = (
    "LARK_APP_SECRET: the platform gives no access token: expected id (LARK_APP_ID) and secret of one released app, as "
    "the developer console shows them, for example LARK_APP_SECRET=s-from-the-console"
)
APP_HINT: Final = (
    "LARK_APP_ID: the platform gives no access token: expected an app that is released, enabled and installed, as the "
    "developer console shows it; docs/reference/platform.md has the code's meaning"
)

log = structlog.get_logger("cardwire.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outage:
    """Calls of an app are held back since then (ms), and this is what was said of it."""

    since: EpochMs
    hint: str | None


class Outages:
    """The breakers of all apps; moved by what calls come to."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._breakers: dict[AppId, Breaker] = {}
        self._failing_since: dict[AppId, EpochMs] = {}
        self._outages: dict[AppId, _Outage] = {}

    def breaker(self, app_id: AppId) -> Breaker:
        """Return whether an app's calls are held back."""
        return self._breakers.get(app_id, CLOSED)

    def calls(self, app_id: AppId, now: EpochMs) -> None:
        """Note that a call is under way, which the breaker let through."""
        self._breakers[app_id] = with_call(self.breaker(app_id), now=now)

    def came_to(
        self,
        app_id: AppId,
        performed: Done | Found | FoundEntity | Failure,
        *,
        target: Target,
        started_at: EpochMs,
        now: EpochMs,
    ) -> None:
        """Note what a call came to, and say so where an outage begins or ends by it."""
        breaker = after_call(self.breaker(app_id), performed, target=target, now=now)
        self._breakers[app_id] = breaker
        self._meter.breaker(app_id, is_open=retry_at(breaker) is not None)
        if breaker == CLOSED:
            self._failing_since.pop(app_id, None)
            self._is_over(app_id, now)
            return
        since = self._failing_since.setdefault(app_id, started_at)
        if not isinstance(breaker, Closed) and isinstance(performed, Rejected | Unsure | Unreached | NoToken):
            self._goes_on(app_id, performed, since)

    def _goes_on(self, app_id: AppId, failure: Failure, since: EpochMs) -> None:
        """Say that calls are held back, once; once more if it turns out that somebody has to mend something."""
        told, hint = self._outages.get(app_id), _hint(failure)
        if told is not None and hint in {None, told.hint}:
            return
        self._outages[app_id] = _Outage(since=since, hint=hint)
        facts: Mapping[str, object] = {**_why(failure), **({} if hint is None else {"hint": hint})}
        log.warning("platform_calls_held_back", app_id=app_id, since=since, **facts)

    def _is_over(self, app_id: AppId, now: EpochMs) -> None:
        outage = self._outages.pop(app_id, None)
        if outage is not None:
            log.info("platform_calls_go_on", app_id=app_id, since=outage.since, after_s=(now - outage.since) // 1000)


def _hint(failure: Failure) -> str | None:
    """Return what to mend, in the words of every other mistake in the settings."""
    if not isinstance(failure, NoToken):
        return None
    if failure.error.sense == "credentials":
        return CREDENTIALS_HINT
    if failure.error.verdict != "configuration":
        return None
    return UNKNOWN_HINT if failure.error.code is None and failure.error.http_status == 0 else APP_HINT


def _why(failure: Failure) -> Mapping[str, object]:
    """Return what nobody got an answer for."""
    match failure:
        case Unreached(reason=reason):
            return {"reason": reason}
        case NoToken(error=error, reason=reason):
            return {"reason": reason or "no_access_token", **_said(error)}
        case Unsure(error=error, reason=reason):
            return {"reason": reason or "no_usable_answer", **_said(error)}
        case Rejected(error=error):
            return {"reason": "no_usable_answer", **_said(error)}
        case _ as unreachable:
            assert_never(unreachable)


def _said(error: PlatformError | None) -> Mapping[str, object]:
    if error is None:
        return {}
    told = {"code": error.code, "http_status": error.http_status or None, "log_id": error.log_id}
    return {name: value for name, value in told.items() if value is not None}
