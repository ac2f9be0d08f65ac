"""The sections of settings that more than one process reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.settings.declare import optional, required, section, setting
from shared.settings.kinds import (
    APP,
    APP_ID,
    APP_TYPE,
    DELIVERY,
    DOMAIN,
    FLAG,
    HTTP_URL,
    LOG_URL,
    PATH,
    PORT,
    PREFIX,
    PREVIOUS_SECRET,
    PROXY,
    SECRET,
    STYLE,
    TEXT,
    AppType,
    CallbackStyle,
    Delivery,
    choice,
    whole,
)

FROM_THE_CONSOLE: Final = "App Secret of your app, from the developer console."


def app_id() -> AppId:
    """Declare the app's id, which every process needs."""
    return required(
        APP_ID,
        "LARK_APP_ID",
        meaning="Id of your app, from the developer console.",
        example="cli_a1b2c3d4e5f6",
        aliases=("APP_ID",),
    )


def handlers() -> str:
    """Declare where the user's `App` is."""
    return required(
        APP,
        "CARDWIRE_APP",
        meaning="Where your handlers are: module and name of the App; the current folder is looked in last. "
        "With several apps, the handlers of each whose table names none.",
        example="handlers:app",
    )


def app_type() -> AppType:
    """Declare whether the app has one organisation or many."""
    return setting(
        APP_TYPE,
        "LARK_APP_TYPE",
        default="custom",
        meaning="Whose app it is: your own organisation's (custom), or one of the app store (store), which other "
        "organisations have installed, and whose access tokens need the app_ticket that the platform sends every hour.",
    )


def domain() -> str:
    """Declare where the platform is."""
    return setting(
        DOMAIN,
        "LARK_DOMAIN",
        default="open.feishu.cn",
        meaning="Where the OpenAPI is: open.feishu.cn, open.larksuite.com, or the address of a simulator.",
        example="open.larksuite.com",
        aliases=("LARK_HOST",),
    )


def admin_port(default: int) -> int:
    """Declare the port of health and metrics, whose default differs, so that processes can share a machine."""
    return setting(
        PORT,
        "CARDWIRE_ADMIN_PORT",
        default=str(default),
        meaning="Port of /healthz, /readyz and /metrics; 0: any free one. In `cardwire run` the worker takes the next.",
    )


def admin_host() -> str:
    """Declare where health and metrics are bound."""
    return setting(
        TEXT,
        "CARDWIRE_ADMIN_HOST",
        default="127.0.0.1",
        meaning="Address that /healthz, /readyz and /metrics are bound to.",
        example="0.0.0.0",  # noqa: S104 -- what one writes in a container
    )


def _as_well(what: str) -> str:
    return f"{what} that is accepted as well, while it is being changed. Its file may be empty: none."


def _given(*secrets: Secret | None) -> tuple[Secret, ...]:
    return tuple(secret for secret in secrets if secret is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSettings:
    """How callbacks come, and how they prove that they come from the platform."""

    delivery: Delivery = setting(
        DELIVERY,
        "LARK_DELIVERY",
        default="webhook",
        meaning="How callbacks come: by webhook, over a long connection that we open (websocket, which needs "
        "LARK_APP_SECRET, a custom app and no key of callbacks), or both.",
        example="websocket",
    )
    encrypt_key: Secret | None = optional(
        SECRET,
        "LARK_ENCRYPT_KEY",
        meaning="Encrypt Key of the app: callbacks are encrypted and signed with it. Strongly recommended.",
        example="kudryavka",
        aliases=("ENCRYPT_KEY",),
    )
    encrypt_key_old: Secret | None = optional(
        PREVIOUS_SECRET, "LARK_ENCRYPT_KEY_OLD", meaning=_as_well("Encrypt Key"), example="kudryavka-before"
    )
    verification_token: Secret | None = optional(
        SECRET,
        "LARK_VERIFICATION_TOKEN",
        meaning="Verification Token of the app: proves callbacks without an Encrypt Key, and legacy card callbacks.",
        example="v-token-from-the-console",
        aliases=("VERIFICATION_TOKEN",),
    )
    verification_token_old: Secret | None = optional(
        PREVIOUS_SECRET,
        "LARK_VERIFICATION_TOKEN_OLD",
        meaning=_as_well("Verification Token"),
        example="v-token-from-before",
    )
    style: CallbackStyle = setting(
        STYLE,
        "LARK_CALLBACKS",
        default="auto",
        meaning="Which card callbacks are let in: new (card.action.trigger), legacy (card.action.trigger_v1) or both; "
        "auto is new when an Encrypt Key is set, else both.",
        example="both",
    )

    @property
    def encrypt_keys(self) -> tuple[Secret, ...]:
        """The Encrypt Keys that are accepted: none, one, or two while it is being changed."""
        return _given(self.encrypt_key, self.encrypt_key_old)

    @property
    def verification_tokens(self) -> tuple[Secret, ...]:
        """The Verification Tokens that are accepted."""
        return _given(self.verification_token, self.verification_token_old)

    def problems(self) -> Iterator[str]:
        """Return what makes it impossible to tell the platform from anybody else."""
        if self.delivery == "websocket":
            return  # Known by the connection, which we opened.
        if self.encrypt_key is None and self.verification_token is None:
            yield (
                "LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN are both missing: expected at least one of them, without "
                "which anybody could click, for example LARK_ENCRYPT_KEY=kudryavka"
            )
        elif self.verification_token is None and self.style in {"legacy", "both"}:
            yield (
                f"LARK_VERIFICATION_TOKEN is missing: LARK_CALLBACKS={self.style} expects it, because legacy card "
                "callbacks are signed with it, for example LARK_VERIFICATION_TOKEN=v-token-from-the-console"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSettings:
    """What of a callback is recorded."""

    keep_form_value: bool = setting(
        FLAG,
        "CARDWIRE_KEEP_FORM_VALUE",
        default="true",
        meaning="Record what people typed into forms. If not, it goes no further than the gateway's memory: handlers "
        "see no form_value, and of clicks no callback is recorded, in which it would stand. What is typed into a "
        "single input outside a form (input_value) is recorded all the same; a signed callback that cannot be read "
        "lies in the dead-letter topic as it came; and what was recorded before stays, in the log for 33 days, and in "
        "exports of it.",
        example="false",
    )
    keep_callback: bool = setting(
        FLAG,
        "CARDWIRE_KEEP_CALLBACK",
        default="true",
        meaning="Record the decoded callback, less its tokens, so that new fields can be derived from old events. A "
        "signed callback that cannot be read lies in the dead-letter topic as it came, whatever is said here.",
        example="false",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """How the platform's OpenAPI is called."""

    app_secret: Secret = required(
        SECRET, "LARK_APP_SECRET", meaning=FROM_THE_CONSOLE, example="s-from-the-console", aliases=("APP_SECRET",)
    )
    app_type: AppType = app_type()
    domain: str = domain()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """What a long connection is opened with; of no use to a webhook."""

    app_secret: Secret | None = optional(
        SECRET, "LARK_APP_SECRET", meaning=FROM_THE_CONSOLE, example="s-from-the-console", aliases=("APP_SECRET",)
    )
    domain: str = domain()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundSettings:
    """How the platform is reached from where we run; `shared.outbound` says how to use it."""

    proxy: Secret | None = optional(
        PROXY,
        "CARDWIRE_PROXY",
        meaning="Proxy through which the platform is called (OpenAPI, long connection), except at an address of this "
        "machine itself (127.0.0.1). HTTPS_PROXY and its like are not read. Special characters in user and password "
        "are percent-encoded.",
        example="http://user:password@proxy.example.com:3128",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """How the brokers are spoken to, and who we say we are."""

    tls: bool = setting(
        FLAG, "CARDWIRE_KAFKA_TLS", default="false", meaning="Speak TLS with the brokers.", example="true"
    )
    ca: str | None = optional(
        PATH,
        "CARDWIRE_KAFKA_CA",
        meaning="PEM file of the authorities that brokers' certificates are checked against; absent: the system's.",
        example="/etc/cardwire/ca.pem",
    )
    certificate: str | None = optional(
        PATH,
        "CARDWIRE_KAFKA_CERT",
        meaning="PEM file with our own certificate, where the brokers ask for one.",
        example="/etc/cardwire/client.pem",
    )
    key: str | None = optional(
        PATH,
        "CARDWIRE_KAFKA_KEY",
        meaning="PEM file with the key of our own certificate.",
        example="/etc/cardwire/client.key",
    )
    mechanism: str | None = optional(
        choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
        "CARDWIRE_KAFKA_SASL",
        meaning="SASL mechanism; absent: none.",
        example="SCRAM-SHA-512",
    )
    username: str | None = optional(TEXT, "CARDWIRE_KAFKA_USERNAME", meaning="User name for SASL.", example="cardwire")
    password: Secret | None = optional(
        SECRET, "CARDWIRE_KAFKA_PASSWORD", meaning="Password for SASL.", example="p-from-your-vault"
    )
    session_s: int = setting(
        whole(1, 1800),
        "CARDWIRE_KAFKA_SESSION_S",
        default="10",
        unit="s",
        meaning="How long a worker may be silent before its partitions go to others; until then nobody decides them. "
        "Brokers refuse less than 6 unless told otherwise (group.min.session.timeout.ms).",
        example="6",
    )

    def problems(self) -> Iterator[str]:
        """Return what is given by half."""
        if self.mechanism and not (self.username and self.password):
            yield (
                f"CARDWIRE_KAFKA_SASL={self.mechanism} expects CARDWIRE_KAFKA_USERNAME and CARDWIRE_KAFKA_PASSWORD, "
                "for example CARDWIRE_KAFKA_USERNAME=cardwire"
            )
        if (self.certificate is None) != (self.key is None):
            yield (
                "CARDWIRE_KAFKA_CERT and CARDWIRE_KAFKA_KEY expect each other, "
                "for example CARDWIRE_KAFKA_KEY=/etc/cardwire/client.key"
            )
        if not self.tls and (self.ca or self.certificate):
            yield "CARDWIRE_KAFKA_CA and CARDWIRE_KAFKA_CERT expect TLS, for example CARDWIRE_KAFKA_TLS=true"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Where the log is."""

    url: str = required(
        LOG_URL,
        "CARDWIRE_LOG",
        meaning="Kafka's brokers, or a SQLite file (three slashes: in the current folder, four: from the root).",
        example="sqlite:///cardwire-data/log.db",
    )
    topic_prefix: str = setting(
        PREFIX,
        "CARDWIRE_TOPIC_PREFIX",
        default="",
        meaning="Put before the names of our topics, where deployments share a broker.",
        example="staging.",
    )
    kafka: KafkaSecurity = section(KafkaSecurity)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservabilitySettings:
    """What a process says about itself."""

    level: str = setting(
        choice("debug", "info", "warning", "error"),
        "CARDWIRE_LOG_LEVEL",
        default="info",
        meaning="The least important log lines that are written.",
        example="warning",
    )
    format: str = setting(
        choice("auto", "json", "text"),
        "CARDWIRE_LOG_FORMAT",
        default="auto",
        meaning="Log lines as JSON or as coloured text; auto is text on a terminal, else JSON.",
        example="json",
    )
    traces: str | None = optional(
        HTTP_URL,
        "CARDWIRE_TRACES",
        meaning="An OTLP collector (HTTP) that is told of the spans of each click; wants the extra `otel`.",
        example="http://collector:4318",
    )
