"""Two kinds of token: tenant access tokens, which calls are made with, and card tokens, which one click gives."""

from dataclasses import dataclass, field

from shared.core.ids import AppId, MessageId, OpenId
from shared.core.json_text import EpochMs
from shared.feishu.limits import CARD_TOKEN_USES, CARD_TOKEN_VALID_MS, TOKEN_LIFE_S, TOKEN_REFRESH_S
from simulator.names import Names
from simulator.refusals import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A tenant access token and when it ends (ms)."""

    value: str = field(repr=False)
    expires_at: EpochMs


class AccessTokens:
    """
    The tenant access tokens of one app.

    Asked again with 30 minutes or more left, the platform gives the same token with what is left of its two hours;
    later it gives a new one, and both are valid until they end. Source: docs/reference/platform.md, "Access tokens".
    """

    def __init__(self, app_id: AppId, app_secret: str, names: Names) -> None:
        self._app_id = app_id
        self._app_secret = app_secret
        self._names = names
        self._newest: AccessToken | None = None
        self._valid: dict[str, EpochMs] = {}

    def issue(self, app_id: object, app_secret: object, *, now: EpochMs) -> AccessToken:
        """
        Return the token that this request is answered with.

        Raises:
            Refused: 10003 a credential is missing; 99991543 unknown app; 10014 wrong secret.
        """
        if not isinstance(app_id, str) or not isinstance(app_secret, str) or not app_id or not app_secret:
            raise Refused(10003)
        if app_id != self._app_id:
            raise Refused(99991543)
        if app_secret != self._app_secret:
            raise Refused(10014)
        if self._newest is None or self._newest.expires_at - now < TOKEN_REFRESH_S * 1000:
            self._newest = AccessToken(value=self._names.access_token(), expires_at=now + TOKEN_LIFE_S * 1000)
            self._valid = {token: end for token, end in self._valid.items() if end > now}
            self._valid[self._newest.value] = self._newest.expires_at
        return self._newest

    def check(self, authorization: str | None, *, now: EpochMs) -> AppId:
        """
        Return whose call this is.

        Raises:
            Refused: 99991661 no ``Authorization``; 99991671 not of our form; 99991663 unknown or ended.
        """
        if not authorization:
            raise Refused(99991661)
        token = authorization.removeprefix("Bearer ")
        if not token.startswith(("t-", "u-")):
            raise Refused(99991671)
        if self._valid.get(token, 0) <= now:
            raise Refused(99991663)
        return self._app_id

    def revoke(self) -> None:
        """End every token at once, as a changed secret does."""
        self._newest = None
        self._valid.clear()


@dataclass(slots=True, kw_only=True)
class CardToken:
    """
    The right to update one card after one click: 30 minutes, two uses.

    Attributes:
        operator: Who clicked.
        is_answered: The click that it came with was answered; before, an update comes too early.
    """

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
