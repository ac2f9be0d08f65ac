"""What the control interface takes, as types: unknown members are mistakes."""

from typing import Any, Literal

import msgspec

from shared.feishu.connection import DEFAULTS
from simulator.faults import FaultKind


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON object with these members and no others."""


class NewChat(_Request, frozen=True, kw_only=True):
    """
    A group. With ``only_owner`` our bot may not rename it, unless it is a manager or the owner.

    Attributes:
        tenant_key: In which organisation, for a store app; by default in the app's own.
    """

    name: str
    edit_permission: Literal["all_members", "only_owner"] = "all_members"
    bot: Literal["member", "manager", "owner"] = "member"
    tenant_key: str | None = None


class NewCard(_Request, frozen=True, kw_only=True):
    """A card of the app's that the worker did not send; ``card`` as object or as JSON text."""

    chat_id: str
    card: dict[str, Any] | str
    sent_at_ms: int | None = None


class Operator(_Request, frozen=True, kw_only=True):
    """Who clicks; without ``tenant_key`` somebody of the chat's organisation."""

    open_id: str = "ou_00000000000000000000000000000001"
    user_id: str | None = None
    union_id: str | None = None
    tenant_key: str | None = None


class Repeated(_Request, frozen=True, kw_only=True):
    """How bytes are repeated."""

    copies: int = 1
    same_request_id: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.copies <= 100:  # noqa: PLR2004 - a bound against slips of the keyboard
            raise ValueError("Expected copies from 1 to 100")


class NewClick(Repeated, frozen=True, kw_only=True):
    """
    A click.

    Attributes:
        action: The component and its values.
        action_json: The same as JSON text, sent as it is: for values that no parser would give back unchanged.
        style: New or legacy callback; by default as the app is set up.
        again: Event id of an earlier click, whose bytes are delivered again instead.
    """

    message_id: str | None = None
    action: dict[str, Any] | None = None
    action_json: str | None = None
    operator: Operator = Operator()
    style: Literal["new", "legacy"] | None = None
    again: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.again is None and self.message_id is None:
            raise ValueError('Expected message_id, for example {"message_id": "om_…", "action": {"tag": "button"}}')
        if self.action is not None and self.action_json is not None:
            raise ValueError("Expected action or action_json, not both")


class NewEvent(Repeated, frozen=True, kw_only=True):
    """A subscribed event."""

    schema: Literal["p1", "p2"] = "p2"
    type: str
    event: dict[str, Any] = {}
    tenant_key: str | None = None


class NewPreview(Repeated, frozen=True, kw_only=True):
    """A link that somebody sent, or is typing (without ``message_id``)."""

    url: str
    operator: Operator = Operator()
    message_id: str | None = None


class Revoked(_Request, frozen=True, kw_only=True):
    """Access tokens that end now: all, or one organisation's; with ``tickets`` a store app's tickets too."""

    tenant_key: str | None = None
    tickets: bool = False


class OneMessage(_Request, frozen=True, kw_only=True):
    """A message."""

    message_id: str


class OneChat(_Request, frozen=True, kw_only=True):
    """A chat."""

    chat_id: str


class MoveClock(_Request, frozen=True, kw_only=True):
    """How far the platform's clock is moved on, in seconds."""

    advance_s: float


class NewFault(_Request, frozen=True, kw_only=True):
    """One rule, see `simulator.faults`."""

    path: str
    kind: FaultKind
    p: float
    ms: int = 0


class NewFaults(_Request, frozen=True, kw_only=True):
    """The rules in force from now on."""

    seed: int = 0
    rules: list[NewFault] = []


class NewLimits(_Request, frozen=True, kw_only=True):
    """Times the documented limits; null: none."""

    factor: float | None


class NewReceivers(_Request, frozen=True, kw_only=True):
    """Where callbacks go from now on."""

    urls: list[str]


class NewParameters(_Request, frozen=True, kw_only=True):
    """What clients of long connections are asked for, in seconds; a count of null: without end."""

    reconnect_count: int | None = None
    reconnect_nonce_s: int = DEFAULTS.reconnect_nonce_s
    reconnect_interval_s: int = DEFAULTS.reconnect_interval_s
    ping_interval_s: int = DEFAULTS.ping_interval_s


class NewConnections(_Request, frozen=True, kw_only=True):
    """
    How long connections are kept from now on; what is absent stays as it is.

    Attributes:
        end: End all of them: with a goodbye, or as a broken line does.
        pongs: Whether pings are answered, and `pong_delay_ms` how much later.
    """

    end: Literal["close", "abort"] | None = None
    pongs: bool | None = None
    pong_delay_ms: int | None = None
    parameters: NewParameters | None = None
    limit: int | None = None
    fragment_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.fragment_bytes is not None and self.fragment_bytes < 1:
            raise ValueError("Expected fragment_bytes of 1 or more")


class Nothing(_Request, frozen=True, kw_only=True):
    """No members."""
