"""What the gateway can be told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

from shared.core.callers import Callers
from shared.core.ids import AppId
from shared.settings import (
    APPS,
    CALLERS,
    AppType,
    CallbackSettings,
    ConnectionSettings,
    LogSettings,
    ObservabilitySettings,
    OutboundSettings,
    RecordingSettings,
    admin_host,
    admin_port,
    app_id,
    app_type,
    callers,
    handlers,
    load,
    one_of_each,
    optional,
    respelled,
    section,
    setting,
    several,
)
from shared.settings.kinds import PATH, PORT, TEXT, whole


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
class RequestsSettings:
    """Where programs ask for effects."""

    host: str = setting(
        TEXT,
        "CARDWIRE_REQUESTS_HOST",
        default="127.0.0.1",
        meaning="Address that requests of programs are received on; set it to be reached from other machines.",
        example="0.0.0.0",  # noqa: S104 what one writes in a container
    )
    port: int | None = optional(
        PORT,
        "CARDWIRE_REQUESTS_PORT",
        meaning="Port of POST /v1/requests, by which programs send and update cards; 0: any free one. Absent: there is "
        "no such port.",
        example="7780",
    )


def _is_connected(told: Mapping[str, Any]) -> bool:
    callbacks = told.get("callbacks")
    return not isinstance(callbacks, CallbackSettings) or callbacks.delivery != "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayApp:
    """
    An app, as the gateway needs it: no App Secret for a webhook.

    Attributes:
        name: Of its routes, ``/webhook/<name>/card`` and ``/event``; ``None`` for the only app, with the short ones.
    """

    name: str | None = None
    app_id: AppId = app_id()
    app_type: AppType = app_type()
    callbacks: CallbackSettings = section(CallbackSettings)
    connection: ConnectionSettings = section(ConnectionSettings, wanted=_is_connected)
    recording: RecordingSettings = section(RecordingSettings)
    handlers: str = handlers()

    def problems(self) -> Iterator[str]:
        """Return what is missing for the way that callbacks come."""
        if self.callbacks.delivery != "webhook" and self.connection.app_secret is None:
            yield (
                f"LARK_APP_SECRET is missing: LARK_DELIVERY={self.callbacks.delivery} expects it, because the long "
                "connection is opened with it, for example LARK_APP_SECRET=s-from-the-console"
            )
        if self.callbacks.delivery != "webhook" and self.app_type == "store":
            yield (
                f"LARK_DELIVERY={self.callbacks.delivery} expects a custom app, because the platform opens no long "
                "connection for LARK_APP_TYPE=store, for example LARK_DELIVERY=webhook"
            )


def _contradictions(apps: Sequence[GatewayApp]) -> Iterator[str]:
    """Return what several apps may not have in common: who has the key of one must not come in as another."""
    yield from one_of_each(apps)
    for one, other in combinations(apps, 2):
        if set(one.callbacks.encrypt_keys) & set(other.callbacks.encrypt_keys):
            yield respelled(
                f"LARK_ENCRYPT_KEY is that of {one.name} as well: expected a key of its own, or who has the one "
                "could click as the other, for example LARK_ENCRYPT_KEY=kudryavka",
                other.name,
            )
        if set(one.callbacks.verification_tokens) & set(other.callbacks.verification_tokens):
            yield respelled(
                f"LARK_VERIFICATION_TOKEN is that of {one.name} as well: expected the one that the console shows for "
                "this app, for example LARK_VERIFICATION_TOKEN=v-token-from-the-console",
                other.name,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Everything that can be set about a gateway; it needs no database."""

    apps: tuple[GatewayApp, ...] = several(APPS, GatewayApp, check=_contradictions)
    outbound: OutboundSettings = section(OutboundSettings)
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
    processes: int = setting(
        whole(1, 64),
        "CARDWIRE_PROCESSES",
        default="1",
        meaning="Gateway processes that share the ports, on Linux: one for each core that callbacks shall have. "
        "Over a long connection each opens one of its own.",
        example="2",
    )
    requests: RequestsSettings = section(RequestsSettings)
    callers: Callers | None = callers(with_tokens=True)
    spill: SpillSettings = section(SpillSettings)
    admin_host: str = admin_host()
    admin_port: int = admin_port(9101)
    observability: ObservabilitySettings = section(ObservabilitySettings)

    def problems(self) -> Iterator[str]:
        """Return what makes it impossible to tell programs from anybody else."""
        if self.requests.port is not None and self.callers is None:
            yield (
                f"{CALLERS.name} is missing: CARDWIRE_REQUESTS_PORT={self.requests.port} expects it, because requests "
                f"are known by the tokens of their callers, for example {CALLERS.name}={CALLERS.example}"
            )

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        return load(cls, env)
