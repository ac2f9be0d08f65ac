"""What a gate is given, and the credentials of the app whose callbacks `tests.support.callbacks` makes."""

from collections.abc import Iterable
from typing import Final

from gateway.admission import CallbackHeaders
from gateway.credentials import Credentials
from shared.core.events import Event, InteractionReceived
from shared.core.ids import AppId
from shared.core.secret import Secret
from tests.support.callbacks import APP_ID, ENCRYPT_KEY, VERIFICATION_TOKEN, Wire

BOTH_STYLES: Final = Credentials(
    app_id=AppId(APP_ID),
    encrypt_keys=(Secret(ENCRYPT_KEY),),
    verification_tokens=(Secret(VERIFICATION_TOKEN),),
    style="both",
)


def headers_of(wire: Wire) -> CallbackHeaders:
    """Return what a front end makes of a request's headers."""
    named = {name.lower(): text for name, text in wire.headers.items()}
    return CallbackHeaders(
        signature=named.get("x-lark-signature"),
        timestamp=named.get("x-lark-request-timestamp"),
        nonce=named.get("x-lark-request-nonce"),
        request_id=named.get("x-request-id"),
    )


def assert_marks_lie_behind(events: Iterable[Event]) -> None:
    """Fail if a mark comes before its click."""
    seen: set[str] = set()
    for event in events:
        assert isinstance(event, InteractionReceived) or event.event_id in seen
        seen.add(event.event_id)
