"""
A store app's tickets: what it asks for access tokens with, pushed to it every hour.

The gateway records the event that brings one, the decision that reads it stores it, and here it is read again: so every
worker has the newest, also one that has just begun.
"""

import itertools
from typing import Final, Protocol

from shared.core.errors import LedgerUnavailable
from shared.core.ids import AppId
from shared.core.secret import Secret
from worker.ledger.port import TicketLedger

ASK_EVERY_MS: Final = 60_000
"""How often the platform is asked for a ticket at most, by all workers together: it is an event, and takes its way."""


class Tickets(Protocol):
    """Where a store app's ticket comes from."""

    async def newest(self, app_id: AppId) -> Secret | None:
        """Return the newest ticket; ``None`` if there is none, or none can be read just now."""

    async def may_ask(self, app_id: AppId) -> bool:
        """Say whether the platform may be asked to push one now, and take note that it is."""


class NoTickets:
    """Of a deployment without store apps."""

    async def newest(self, app_id: AppId) -> None:
        """Return none."""

    async def may_ask(self, app_id: AppId) -> bool:  # noqa: ARG002  the port's
        """Say no."""
        return False


class LedgerTickets:
    """The tickets that the ledger holds. An absent ledger has none: the calls that need one wait."""

    def __init__(self, ledger: TicketLedger, owner: str) -> None:
        self._ledger, self._owner = ledger, owner
        self._asked = itertools.count(1)

    async def newest(self, app_id: AppId) -> Secret | None:
        """Return the newest ticket: see `Tickets.newest`."""
        try:
            return await self._ledger.app_ticket(app_id)
        except LedgerUnavailable:
            return None

    async def may_ask(self, app_id: AppId) -> bool:
        """Take the fleet's right to ask, which comes back after a minute."""
        # An owner of its own each time: whoever asked last keeps nothing by asking again.
        owner = f"{self._owner}/{next(self._asked)}"
        try:
            return await self._ledger.hold(f"app_ticket/{app_id}", owner, ttl_ms=ASK_EVERY_MS)
        except LedgerUnavailable:
            return False
