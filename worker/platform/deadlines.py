"""How long a call of the platform may take: for whoever makes it, and for those who reckon with it."""

from typing import Final

DEADLINE_S: Final = 5.0
"""A call with everything that it needs, token included. Half a lease, so that its outcome is stored in time."""

CONNECT_S: Final = 2.0

CALL_MS: Final = round(DEADLINE_S * 1000) + 1_000
"""A call, what is stored of it included: so long after its start none can arrive at the platform any more."""
