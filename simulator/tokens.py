"""Two kinds of token: access tokens, which calls are made with, and card tokens, which one click gives."""

from dataclasses import dataclass, field
from typing import Final

from shared.core.ids import AppId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import EpochMs
from shared.feishu.limits import CARD_TOKEN_USES, CARD_TOKEN_VALID_MS, TOKEN_LIFE_S, TOKEN_REFRESH_S
from simulator.names import Names
from simulator.refusals import Refused

TICKET_VALID_MS: Final = 12 * 60 * 60 * 1000
"""How long a ticket lives is not documented; the official SDK for Go keeps one for 12 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """
    The one app that this platform knows.

    Attributes:
        tenant_key: The organisation that it belongs to, and that chats are in which name no other.
        is_store: It came from the app store: other organisations have it too, and its tokens need a ticket.
    """

    app_id: AppId
    app_secret: str = field(repr=False)
    tenant_key: TenantKey
    is_store: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token, when it ends (ms), and whose it is; ``None``: the app's."""

    value: str = field(repr=False)
    expires_at: EpochMs
    tenant_key: TenantKey | None


class AccessTokens:
    """
    The access tokens and tickets of one app.

    Asked again with 30 minutes or more left, the platform gives the same token with what is left of its two hours;
    later it gives a new one, and both are valid until they end. Source: docs/reference/platform.md, "Access tokens"
    and "Store apps".
    """

    def __init__(self, app: App, names: Names) -> None:
        self.app = app
        self._names = names
        self._newest: dict[TenantKey | None, AccessToken] = {}
        self._valid: dict[str, AccessToken] = {}
        self._tickets: dict[str, EpochMs] = {}

    def check_credentials(self, app_id: object, app_secret: object) -> None:
        """
        Check what an app names itself by.

        Raises:
            Refused: 10003 a credential is missing; 99991543 unknown app; 10014 wrong secret.
        """
        if not isinstance(app_id, str) or not isinstance(app_secret, str) or not app_id or not app_secret:
            raise Refused(10003)
        if app_id != self.app.app_id:
            raise Refused(99991543)
        if app_secret != self.app.app_secret:
            raise Refused(10014)

    def issue(self, app_id: object, app_secret: object, *, now: EpochMs) -> AccessToken:
        """
        Return the tenant access token that an app of one's own is answered with.

        Raises:
            Refused: As for `check_credentials`; 10005 the app is from the store, and asks elsewhere.
        """
        self.check_credentials(app_id, app_secret)
        if self.app.is_store:
            raise Refused(10005)
        return self.of_tenant(self.app.tenant_key, now=now)

    def issue_to_app(self, ticket: object, *, now: EpochMs) -> AccessToken:
        """
        Return the app access token that a store app is answered with.

        Raises:
            Refused: 10003 no ticket; 10012 not a ticket of this app, or the app is not from the store.
        """
        if not isinstance(ticket, str) or not ticket:
            raise Refused(10003)
        if not self.app.is_store or self._tickets.get(ticket, 0) <= now:
            raise Refused(10012)
        return self._issue(None, now=now)

    def of_tenant(self, tenant_key: TenantKey, *, now: EpochMs) -> AccessToken:
        """Return the token for calls in one organisation."""
        return self._issue(tenant_key, now=now)

    def new_ticket(self, *, now: EpochMs) -> str:
        """Return a ticket to be pushed to a store app."""
        self._tickets = {ticket: end for ticket, end in self._tickets.items() if end > now}
        ticket = self._names.ticket()
        self._tickets[ticket] = now + TICKET_VALID_MS
        return ticket

    def check(self, authorization: str | None, *, now: EpochMs) -> TenantKey:
        """
        Return in which organisation a call is made.

        Raises:
            Refused: 99991661 no ``Authorization``; 99991671 not of our form; 99991663 unknown or ended.
        """
        if not authorization:
            raise Refused(99991661)
        value = authorization.removeprefix("Bearer ")
        if not value.startswith(("t-", "u-")):
            raise Refused(99991671)
        token = self._valid.get(value)
        if token is None or token.tenant_key is None or token.expires_at <= now:
            raise Refused(99991663)
        return token.tenant_key

    def check_app(self, value: str, *, now: EpochMs) -> None:
        """
        Check an app access token.

        Raises:
            Refused: 99991664 unknown or ended.
        """
        token = self._valid.get(value)
        if token is None or token.tenant_key is not None or token.expires_at <= now:
            raise Refused(99991664)

    def revoke(self, tenant_key: TenantKey | None = None) -> None:
        """End every token at once, as a changed secret does, or only those of one organisation."""
        kept = (
            {}
            if tenant_key is None
            else {key: each for key, each in self._valid.items() if each.tenant_key != tenant_key}
        )
        self._valid = kept
        self._newest = {whose: each for whose, each in self._newest.items() if each.value in kept}

    def revoke_tickets(self) -> None:
        """End every ticket."""
        self._tickets.clear()

    def _issue(self, whose: TenantKey | None, *, now: EpochMs) -> AccessToken:
        newest = self._newest.get(whose)
        if newest is None or newest.expires_at - now < TOKEN_REFRESH_S * 1000:
            value = self._names.access_token() if whose is not None else self._names.app_access_token()
            newest = AccessToken(value=value, expires_at=now + TOKEN_LIFE_S * 1000, tenant_key=whose)
            self._newest[whose] = newest
            self._valid = {each.value: each for each in self._valid.values() if each.expires_at > now}
            self._valid[value] = newest
        return newest


@dataclass(slots=True, kw_only=True)
class CardToken:
    """
    The right to update one card after one click: 30 minutes, two uses.

    Attributes:
        event_id: Of the click, as a new callback names it.
        operator: Who clicked.
        is_answered: The click that it came with was answered; before, an update comes too early.
    """

    event_id: EventId
    message_id: MessageId
    operator: OpenId
    issued_at: EpochMs
    uses_left: int = CARD_TOKEN_USES
    is_answered: bool = False

    def use(self, *, now: EpochMs) -> None:
        """
        Take one use.

        Raises:
            Refused: 300030 too old; 300040 used up.
        """
        if now - self.issued_at >= CARD_TOKEN_VALID_MS:
            raise Refused(300030)
        if self.uses_left <= 0:
            raise Refused(300040)
        self.uses_left -= 1
