"""What the simulator can be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from shared.core.ids import AppId, TenantKey
from shared.core.secret import Secret
from shared.feishu.limits import Limits
from shared.rate_limits import LIMITS
from shared.settings import CallbackSettings, load, optional, section, setting
from shared.settings.declare import Kind
from shared.settings.kinds import APP_ID, FLAG, PORT, SECRET, TEXT, whole


def _addresses(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(","))
    for address in found:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("not an address")
        _ = parts.port  # raises ValueError when it is no number
    return found


_ADDRESSES: Final = Kind(
    name="addresses", expected="one or more http(s) addresses, separated by commas", parse=_addresses
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """
    Everything that can be set about the simulator. App id and secret have defaults: nobody needs an account.

    Attributes:
        callback_urls: Where callbacks go; several receivers take turns.
        limits: What calls are held to.
        seed: Names (ids, tokens) are drawn from it; ``None``: others each time.
    """

    app_id: AppId = setting(
        APP_ID,
        "LARK_APP_ID",
        default="cli_a0c0ffee00000001",
        meaning="Id of the one app that the simulator knows.",
        aliases=("APP_ID",),
    )
    app_secret: Secret = setting(
        SECRET,
        "LARK_APP_SECRET",
        default="simulated-secret",
        meaning="App Secret that access tokens are given for.",
        aliases=("APP_SECRET",),
    )
    callbacks: CallbackSettings = section(CallbackSettings)
    tenant_key: TenantKey = setting(
        Kind(name="text", expected="a tenant key", parse=TenantKey),
        "CARDWIRE_SIMULATOR_TENANT",
        default="2ed263bf32cf1651",
        meaning="The organisation that everybody in the simulator belongs to.",
    )
    is_store: bool = setting(
        FLAG,
        "CARDWIRE_SIMULATOR_STORE_APP",
        default="false",
        meaning="The app is one of the app store: it needs tickets, and other organisations have it too.",
        example="true",
    )
    callback_urls: tuple[str, ...] = setting(
        _ADDRESSES,
        "CARDWIRE_SIMULATOR_CALLBACK",
        default="http://127.0.0.1:7777/webhook/card",
        meaning="Where the simulator sends callbacks; several receivers take turns.",
    )
    host: str = setting(
        TEXT,
        "CARDWIRE_SIMULATOR_HOST",
        default="127.0.0.1",
        meaning="Address that the simulated OpenAPI is served on.",
        example="0.0.0.0",  # noqa: S104 what one writes in a container
    )
    port: int = setting(
        PORT, "CARDWIRE_SIMULATOR_PORT", default="8900", meaning="Port of the simulated OpenAPI; 0: any free one."
    )
    control_host: str = setting(
        TEXT,
        "CARDWIRE_SIMULATOR_CONTROL_HOST",
        default="127.0.0.1",
        meaning="IP address of this machine on which /_sim/ answers; whoever reaches it may click as anybody.",
        example="0.0.0.0",  # noqa: S104 what one writes in a container
    )
    limits: Limits = setting(
        LIMITS,
        "CARDWIRE_SIMULATOR_LIMITS",
        default="1",
        unit="× the documented limits",
        meaning="How strict the simulator's frequency limits are: see CARDWIRE_LIMITS.",
        example="20",
    )
    seed: int | None = optional(
        whole(0, 2**63 - 1),
        "CARDWIRE_SIMULATOR_SEED",
        meaning="Draw ids and tokens from this number, so that a run can be repeated.",
        example="7",
    )

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        return load(cls, env)
