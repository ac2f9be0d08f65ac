"""
What comes in over the long connection. Pure. Source: docs/reference/platform.md, "The long connection".

Frames are neither encrypted nor signed: that the platform made them is known from the connection, to which we came by
TLS and with the app's secret. So everything is let in but what is another app's, or of a style that was not asked for;
and what cannot be read is an honest click in a shape that we do not know.
"""

from typing import assert_never

from gateway.admission import Admitted, CallbackHeaders, Illegible
from gateway.credentials import Style
from shared.core.errors import CallbackRejected
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.feishu.callback import (
    CardAction,
    Challenge,
    Encrypted,
    Interactive,
    LegacyCardAction,
    LinkPreview,
    SubscribedEvent,
    UnreadableCallback,
    parse,
)
from shared.feishu.flat import enveloped
from shared.feishu.normalize import platform_time


class FrameAdmission:
    """Judges the payloads of frames for one app."""

    def __init__(self, app_id: AppId, *, style: Style) -> None:
        self._app_id, self._style = app_id, style

    def admit(self, body: bytes, headers: CallbackHeaders, *, now: EpochMs) -> Admitted | Illegible:  # noqa: ARG002
        """Return what came in; the frame's ``message_id`` stands in for an id that a callback lacks."""
        try:
            callback = parse(enveloped(body))
        except UnreadableCallback as error:
            return Illegible(reason=str(error))
        match callback:
            case CardAction() | LegacyCardAction() | LinkPreview() | SubscribedEvent():
                self._check(callback)
                at = platform_time(headers.timestamp)
                return Admitted(callback=callback, signature=headers.message_id or None, signed_at=at)
            case Challenge() | Encrypted():
                # Neither is ever sent this way, so something changed at the platform: keep it for a person to see.
                return Illegible(reason=f"a frame with a {type(callback).__name__}")
            case _ as unreachable:
                assert_never(unreachable)

    def _check(self, callback: Interactive) -> None:
        if callback.app_id is not None and callback.app_id != self._app_id:
            raise CallbackRejected("app_mismatch", hint="the callback is another app's: compare LARK_APP_ID")
        if isinstance(callback, CardAction) and self._style == "legacy":
            raise CallbackRejected("new_not_expected", hint="LARK_CALLBACKS=both lets new card callbacks in")
        if isinstance(callback, LegacyCardAction) and self._style == "new":
            raise CallbackRejected("legacy_not_expected", hint="LARK_CALLBACKS=both lets legacy card callbacks in")
