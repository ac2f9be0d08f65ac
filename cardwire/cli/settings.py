"""What `cardwire run` can be told besides its processes' settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.settings import load, setting
from shared.settings.kinds import TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Where a single machine keeps its clicks."""

    data: str = setting(
        TEXT,
        "CARDWIRE_DATA",
        default="cardwire-data",
        meaning="Where `cardwire run` keeps log and ledger, unless CARDWIRE_LOG and CARDWIRE_LEDGER say otherwise.",
        example="/var/lib/cardwire",
    )

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        return load(cls, env)
