"""What the worker can be told."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from shared.core.callers import Callers
from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.feishu.limits import Limits
from shared.rate_limits import LIMITS
from shared.settings import (
    APPS,
    LogSettings,
    ObservabilitySettings,
    OutboundSettings,
    PlatformSettings,
    admin_host,
    admin_port,
    app_id,
    callers,
    handlers,
    load,
    one_of_each,
    required,
    section,
    setting,
    several,
)
from shared.settings.kinds import LEDGER_URL, TEXT, whole
from worker.keeping import Keeping

SETTLE_MS: Final = 300
"""From the answered mark to the first update, unless set otherwise: the client must have painted the answer."""


UNKNOWN_HINT: Final = "expected its settings, in the file of CARDWIRE_APPS or as LARK_APP_ID and LARK_APP_SECRET"
"""Of an app whose clicks are in the log and that the worker was not told of."""


CALLERS_HINT: Final = "expected its caller in the file of CARDWIRE_CALLERS, which the worker reads as the gateway does"
"""Of a request whose caller the worker was not told of."""


def ledger_url() -> Secret:
    """Declare where the ledger is."""
    return required(
        LEDGER_URL,
        "CARDWIRE_LEDGER",
        meaning="The database: PostgreSQL (TLS by ?sslmode=verify-full&sslrootcert=/path) or a SQLite file "
        "(three slashes: in the current folder, four: from the root).",
        example="postgresql://cardwire:password@db.example.com/cardwire",
    )


def settle_ms() -> int:
    """Declare how long an update waits after its click's answer."""
    return setting(
        whole(0, 60_000),
        "CARDWIRE_SETTLE_MS",
        default=str(SETTLE_MS),
        unit="ms",
        meaning="How long after its answer a click's card update waits, because clients revert earlier ones.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerApp:
    """
    An app, as the worker needs it: no key of callbacks.

    Attributes:
        name: What it is called in the file of several; ``None`` for the only one.
    """

    name: str | None = None
    app_id: AppId = app_id()
    platform: PlatformSettings = section(PlatformSettings)
    handlers: str = handlers()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Everything that can be set about a worker."""

    apps: tuple[WorkerApp, ...] = several(APPS, WorkerApp, check=one_of_each)
    outbound: OutboundSettings = section(OutboundSettings)
    log: LogSettings = section(LogSettings)
    ledger: Secret = ledger_url()
    callers: Callers | None = callers(with_tokens=False)
    group: str = setting(
        TEXT,
        "CARDWIRE_GROUP",
        default="cardwire",
        meaning="Consumer group; workers of one group share the partitions.",
    )
    concurrency: int = setting(
        whole(1, 1000),
        "CARDWIRE_CONCURRENCY",
        default="64",
        unit="calls",
        meaning="How many calls to the platform may be under way at once in this process.",
    )
    limits: Limits = setting(
        LIMITS,
        "CARDWIRE_LIMITS",
        default="1",
        unit="× the documented limits",
        meaning="How much of the documented rate limits may be used, where the platform raised yours: times so many, "
        "or so many calls of each API in a second and in a minute; none: no limit, for load tests against a simulator.",
        example="100/s 3000/min",
    )
    settle_ms: int = settle_ms()
    dead_letters_stop: int = setting(
        whole(0, 100),
        "CARDWIRE_DEAD_LETTERS_STOP",
        default="50",
        unit="% of the cards",
        meaning="At which share of failures among its last 200 decisions, of 20 cards or more, a worker stops deciding "
        "until it is restarted, so that a broken deploy does not fill the dead letters; 0: never.",
    )
    keeping: Keeping = section(Keeping)
    admin_host: str = admin_host()
    admin_port: int = admin_port(9102)
    observability: ObservabilitySettings = section(ObservabilitySettings)

    @property
    def stores(self) -> Collection[AppId]:
        """The apps of the app store, which have more organisations than one."""
        return frozenset(app.app_id for app in self.apps if app.platform.app_type == "store")

    @property
    def platforms(self) -> Mapping[AppId, PlatformSettings]:
        """How the platform is called for each app."""
        return {app.app_id: app.platform for app in self.apps}

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        return load(cls, env)
