"""What the gateway can be told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from shared.core.ids import AppId
from shared.settings import (
    CallbackSettings,
    ConnectionSettings,
    LogSettings,
    ObservabilitySettings,
    OutboundSettings,
    admin_host,
    admin_port,
    app_id,
    handlers,
    load,
    optional,
    section,
    setting,
)
from shared.settings.kinds import FLAG, PATH, PORT, TEXT, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class SpillSettings:
    """Where clicks go while Kafka is away."""

    folder: str | None = optional(
        PATH,
        "CARDWIRE_SPILL",
        meaning="Folder on a local disk that survives restarts, for what is accepted while Kafka is away; several "
        "gateways may share it. Absent: such clicks are answered as perhaps not recorded. A SQLite log needs none.",
        example="/var/lib/cardwire/spill",
    )
    max_rows: int = setting(
        whole(1, 1_000_000_000),
        "CARDWIRE_SPILL_MAX_ROWS",
        default="500000",
        meaning="Records that one gateway's spill may hold; a click makes two. Beyond that it is full.",
        example="2000000",
    )
    max_mb: int = setting(
        whole(1, 1_000_000),
        "CARDWIRE_SPILL_MAX_MB",
        default="1024",
        unit="MiB",
        meaning="Size of the records that one gateway's spill may hold; a click takes about 4 KiB.",
        example="4096",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Everything that can be set about a gateway; it needs no database, and no App Secret for a webhook."""

    app_id: AppId = app_id()
    callbacks: CallbackSettings = section(CallbackSettings)
    connection: ConnectionSettings = section(ConnectionSettings)
    outbound: OutboundSettings = section(OutboundSettings)
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
    spill: SpillSettings = section(SpillSettings)
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

    def problems(self) -> Iterator[str]:
        """Return what is missing for the way that callbacks come."""
        if self.callbacks.delivery != "webhook" and self.connection.app_secret is None:
            yield (
                f"LARK_APP_SECRET is missing: LARK_DELIVERY={self.callbacks.delivery} expects it, because the long "
                "connection is opened with it, for example LARK_APP_SECRET=s-from-the-console"
            )

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        return load(cls, env)
