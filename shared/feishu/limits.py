"""
Every number that the platform documents, once. Sources: docs/reference/platform.md, the section named at each.

Numbers that the platform may raise for an app are fields of `Limits`; the others are constants.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from shared.core import eligibility
from shared.core.cards import CardFormat
from shared.core.effects import parts, previews

# "Deadlines": what the platform waits for, in seconds.
CHALLENGE_DEADLINE_S: Final = 1.0
CALLBACK_DEADLINE_S: Final = eligibility.UNANSWERED_MS / 1000

# "Validity": days of 24 hours since the platform created the message.
DAY_MS: Final = 24 * 60 * 60 * 1000
INTERACTIVE_DAYS: Final[Mapping[CardFormat, int]] = {"1.0": 30, "2.0": 14}
UPDATABLE_DAYS: Final[Mapping[CardFormat, int]] = {"1.0": 14, "2.0": 14}

# "Sizes": bytes of UTF-8. The documents say "KB"; we take 1,024, so that nothing acceptable is held back.
CARD_BYTES: Final = 30 * 1024
TEXT_BYTES: Final = 150 * 1024

# "Idempotency": a uuid makes a send unique for so long.
UUID_CHARS: Final = 50
UUID_VALID_MS: Final = 60 * 60 * 1000

# "Access tokens": a request returns the cached token while it has more than this left, else a new one.
TOKEN_REFRESH_S: Final = 30 * 60
TOKEN_LIFE_S: Final = 2 * 60 * 60

# "Card update tokens".
CARD_TOKEN_VALID_MS: Final = 30 * 60 * 1000
CARD_TOKEN_USES: Final = 2

# "Cards as entities": a card that CardKit changes in part.
ENTITY_VALID_MS: Final = 14 * DAY_MS
STREAMING_MS: Final = 10 * 60 * 1000
"""After so long streaming ends by itself, counted from when it was last switched on."""
CARDKIT_UUID_CHARS: Final = 64
LAST_SEQUENCE: Final = 2**31 - 1
CARD_ELEMENTS: Final = 200
"""Elements and components of one 2.0 card, nested ones included."""
STREAMED_CHARS: Final = parts.STREAMED_CHARS
ELEMENT_ID_CHARS: Final = parts.ELEMENT_ID_CHARS

# "Refreshing link previews".
PREVIEW_TOKENS: Final = 10
PREVIEW_PEOPLE: Final = previews.PREVIEW_PEOPLE
PREVIEW_REFRESH_MS: Final = 5_000
"""One token is refreshed once in this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRate:
    """Two limits of one API that hold together: calls in any second, and calls in any minute."""

    per_second: float = 50
    per_minute: float = 1000


PREVIEW_REFRESHES: Final = "im.v2.url_preview.batch_update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    How often we may call. Source: docs/reference/platform.md, "Rate limits".

    Attributes:
        api: For each API, app and tenant; `apis` holds the exceptions by API name.
        per_message: Updates of one message in a second.
        per_chat: Sends to one chat in a second, shared by all bots in it.
        per_user: Sends to one person in a second.
        per_entity: CardKit calls about one card in a second.
        per_chat_ephemeral: Ephemeral cards to one chat in a second.
        per_preview: Refreshes of one link preview in `PREVIEW_REFRESH_MS`.
    """

    api: ApiRate = ApiRate()
    apis: Mapping[str, ApiRate] = field(
        default_factory=lambda: {PREVIEW_REFRESHES: ApiRate(per_second=5, per_minute=5 * 60)}
    )
    per_message: float = 5
    per_chat: float = 5
    per_user: float = 5
    per_entity: float = 10
    per_chat_ephemeral: float = 40
    per_preview: float = 1

    def of(self, api: str) -> ApiRate:
        """Return the limits of an API, by its budget name (``im.v1.message.patch``)."""
        return self.apis.get(api, self.api)

    def times(self, factor: float) -> "Limits":
        """Return limits that are ``factor`` times as high: an app with a raised tier, or a test in a hurry."""
        return replace(
            self,
            api=_times(self.api, factor),
            apis={api: _times(rate, factor) for api, rate in self.apis.items()},
            per_message=self.per_message * factor,
            per_chat=self.per_chat * factor,
            per_user=self.per_user * factor,
            per_entity=self.per_entity * factor,
            per_chat_ephemeral=self.per_chat_ephemeral * factor,
            per_preview=self.per_preview * factor,
        )

    def unlimited(self) -> "Limits":
        """Return limits that never hold anybody back: every rate is infinite."""
        return self.times(math.inf)


def _times(rate: ApiRate, factor: float) -> ApiRate:
    return ApiRate(per_second=rate.per_second * factor, per_minute=rate.per_minute * factor)
