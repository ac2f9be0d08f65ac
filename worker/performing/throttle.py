"""How fast calls may be made: what to reserve of each API, whose turn is when, how far apart a target's calls are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from shared.core.effects import (
    Asking,
    DeleteEphemeral,
    RefreshPreview,
    RenameChat,
    Reply,
    SendCard,
    SendEphemeral,
    SendText,
    SetStreaming,
    StreamText,
    UpdateCard,
    UpdateChat,
    UpdateElement,
)
from shared.core.ids import AppId, TenantKey
from shared.core.json_text import EpochMs
from shared.core.targets import is_person
from shared.feishu.limits import PREVIEW_REFRESH_MS, Limits
from worker.budget import at_once, pace_ms, rate_of
from worker.ledger.leased import BudgetKey, Rate
from worker.performing.job import Job
from worker.performing.turn import Result
from worker.policy import FindChat, FindEntity

AHEAD_MS: Final = 2_000
"""How far ahead calls are reserved; who would wait longer gives the target back."""

_ONE_TENANT: Final = TenantKey("")


class Throttle:
    """
    The documented limits, as this deployment has them.

    Args:
        stores: Apps that have more organisations than one, each with limits of its own.
    """

    def __init__(self, limits: Limits, stores: Collection[AppId] = frozenset()) -> None:
        self._limits, self._stores = limits, stores
        self._rates: dict[str, Rate] = {}
        self._silent: dict[BudgetKey, EpochMs] = {}

    def budget(self, job: Job) -> BudgetKey:
        """Return which budget a call is taken from."""
        head = job.head
        # A custom app has one organisation: clicks name it, requests of programs do not.
        tenant_key = head.tenant_key if head.app_id in self._stores else _ONE_TENANT
        return BudgetKey(head.app_id, tenant_key, job.api)

    def wants(self, jobs: Sequence[Job]) -> dict[BudgetKey, tuple[int, Rate]]:
        """Return how many calls of each API to reserve; nothing where there is no limit."""
        wants: dict[BudgetKey, tuple[int, Rate]] = {}
        for job in jobs:
            rate = self._rate(job.api)
            if rate.second_us or rate.minute_us:
                budget = self.budget(job)
                calls = wants[budget][0] + 1 if budget in wants else 1
                wants[budget] = (min(calls, at_once(rate)), rate)
        return wants

    def spaced(
        self, jobs: Sequence[Job], waits: Mapping[BudgetKey, int], now: EpochMs
    ) -> tuple[list[Job], list[Result]]:
        """Give each job its time within what was reserved; put off those for which nothing was."""
        ready: list[Job] = []
        put_off: list[Result] = []
        before: dict[BudgetKey, int] = {}
        for job in jobs:
            budget = self.budget(job)
            wait_ms = waits.get(budget, 0)
            nth = before.get(budget, 0)
            if wait_ms > AHEAD_MS:
                put_off.append(job.turn.put_off(now, pace_ms=wait_ms - AHEAD_MS // 2))
                continue
            if budget in waits and nth >= at_once(self._rate(job.api)):
                put_off.append(job.turn.put_off(now))  # They ask for a reservation of their own.
                continue
            before[budget] = nth + 1
            spacing_us = self._rate(job.api).second_us if budget in waits else 0
            ready.append(replace(job, wait_s=wait_ms / 1_000 + nth * spacing_us / 1_000_000))
        return ready, put_off

    def silence(self, api: BudgetKey, until: EpochMs) -> None:
        """Note that the platform wants no call of an API before this time (ms)."""
        self._silent[api] = max(until, self._silent.get(api, 0))

    def silenced(self, job: Job, now: EpochMs) -> Result | None:
        """Put a job off whose time was reserved before its API fell silent; ``None`` if it may be called."""
        left_ms = self._silent.get(self.budget(job), 0) - now
        return job.turn.put_off(now, pace_ms=left_ms) if left_ms > 0 else None

    def pace_ms(self, job: Job) -> int:
        """Return how long after the start of this call its target may be called again (ms)."""
        if isinstance(job.ruling, FindChat | FindEntity) or isinstance(job.effect, Asking | RenameChat | UpdateChat):
            return 0
        match job.effect:
            case UpdateCard() | UpdateElement() | StreamText() | SetStreaming() | DeleteEphemeral():
                is_entity = job.means.card_id is not None
                return pace_ms(self._limits.per_entity if is_entity else self._limits.per_message)
            case SendEphemeral():
                return pace_ms(self._limits.per_chat_ephemeral)
            case RefreshPreview():
                return pace_ms(self._limits.per_preview * 1_000 / PREVIEW_REFRESH_MS)
            case SendCard() | SendText() | Reply():
                return pace_ms(self._limits.per_user if is_person(job.head.target) else self._limits.per_chat)
            case _ as unreachable:
                assert_never(unreachable)

    def _rate(self, api: str) -> Rate:
        if api not in self._rates:
            self._rates[api] = rate_of(self._limits.of(api))
        return self._rates[api]
