"""What the gateway can be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.core.ids import AppId
from shared.settings import (
    CallbackSettings,
    LogSettings,
    ObservabilitySettings,
    admin_host,
    admin_port,
    app_id,
    handlers,
    load,
    section,
    setting,
)
from shared.settings.kinds import FLAG, PORT, TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Everything that can be set about a gateway; it needs no App Secret and no database."""

    app_id: AppId = app_id()
    callbacks: CallbackSettings = section(CallbackSettings)
    handlers: str = handlers()
    log: LogSettings = section(LogSettings)
    host: str = setting(
        TEXT,
        "CARDWIRE_HOST",
        default="127.0.0.1",
        meaning="Address that callbacks are received on; set it to be reached from other machines.",
        example="0.0.0.0",  # noqa: S104 what one writes in a container
    )
    port: int = setting(
        PORT, "CARDWIRE_PORT", default="7777", meaning="Port that callbacks are received on; 0: any free one."
    )
    keep_callback: bool = setting(
        FLAG,
        "CARDWIRE_KEEP_CALLBACK",
        default="true",
        meaning="Record the decoded callback, less its tokens, so that new fields can be derived from old events.",
        example="false",
    )
    admin_host: str = admin_host()
    admin_port: int = admin_port(9101)
    observability: ObservabilitySettings = section(ObservabilitySettings)

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        return load(cls, env)
