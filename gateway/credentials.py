"""What one app's callbacks are checked against."""

from dataclasses import dataclass
from typing import Literal, Self, assert_never

from shared.core.errors import ConfigError
from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.settings import CallbackSettings

Style = Literal["new", "legacy", "both"]
"""Which card callbacks are let in: ``card.action.trigger``, ``card.action.trigger_v1``, or either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """
    The keys of one app. More than one of a kind is active while it is being changed.

    Attributes:
        app_id: The app that the route belongs to.
        encrypt_keys: Active Encrypt Keys; none if the app has none.
        verification_tokens: Active Verification Tokens.
        style: Which card callbacks are let in.

    Raises:
        ConfigError: There is nothing to check anybody against.
    """

    app_id: AppId
    encrypt_keys: tuple[Secret, ...] = ()
    verification_tokens: tuple[Secret, ...] = ()
    style: Style

    def __post_init__(self) -> None:
        problem = next(
            CallbackSettings(
                encrypt_key=next(iter(self.encrypt_keys), None),
                verification_token=next(iter(self.verification_tokens), None),
                style=self.style,
            ).problems(),
            None,
        )
        if problem is not None:
            raise ConfigError(problem)

    @classmethod
    def of(cls, app_id: AppId, settings: CallbackSettings) -> Self:
        """Return the credentials that the settings name."""
        return cls(
            app_id=app_id,
            encrypt_keys=settings.encrypt_keys,
            verification_tokens=settings.verification_tokens,
            style=style_of(settings),
        )


def style_of(settings: CallbackSettings) -> Style:
    """Return which card callbacks these settings let in."""
    match settings.style:
        case "auto":
            # Consoles offer an Encrypt Key for new-style callbacks only: who set one is on the new style.
            return "new" if settings.encrypt_key else "both"
        case "new" | "legacy" | "both":
            return settings.style
        case _ as unreachable:
            assert_never(unreachable)
