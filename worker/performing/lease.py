"""How long a target is leased, and until when a call may begin under its lease (pure)."""

from typing import Final

from shared.core.json_text import EpochMs
from worker.platform.deadlines import CALL_MS

LEASE_MS: Final = 15_000
"""Longer than the longest wait for a rate limit and the longest call together, with room for a settlement."""

PROLONGED_EVERY_MS: Final = LEASE_MS // 3
"""How often a lease is prolonged that is needed for longer: twice in vain, and it still holds."""


def allows_a_call(leased_at: EpochMs, now: EpochMs) -> bool:
    """Say whether a call that begins now would be over, and settled, before the lease may end."""
    return now <= leased_at + LEASE_MS - CALL_MS
