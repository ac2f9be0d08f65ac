from typing import Any

import pytest
from msgspec.structs import replace

from gateway.admission import Admitted, CallbackHeaders, Illegible
from gateway.longconn.admission import FrameAdmission
from shared.core.errors import CallbackRejected
from shared.core.ids import AppId
from shared.core.json_text import JsonText
from shared.feishu.callback import CardAction, LegacyCardAction, LinkPreview, SubscribedEvent
from shared.feishu.normalize import normalize
from tests.support.callbacks import (
    APP_ID,
    CARD_TOKEN,
    NOW,
    click,
    encrypted,
    legacy_click,
    plain,
    subscribed,
    verification,
)
from tests.vectors import http_callback

NO_TEXT = JsonText("")
HEADERS = CallbackHeaders(message_id="m-1", timestamp=str(NOW))


def admitted(body: bytes, admission: FrameAdmission | None = None) -> Admitted:
    """Return what came in."""
    came = (admission or FrameAdmission(AppId(APP_ID), style="both")).admit(body, HEADERS, now=NOW)
    assert isinstance(came, Admitted)
    return came


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (click(), CardAction),
        (click(token="another token"), CardAction),
        (click(event_type="url.preview.get"), LinkPreview),
        (subscribed(), SubscribedEvent),
        (legacy_click(), LegacyCardAction),
    ],
)
def test_whatever_the_platform_sends_comes_in(body: dict[str, Any], kind: type[object]) -> None:
    """Without signature or token: the connection says who is speaking."""
    assert isinstance(admitted(plain(body)).callback, kind)


def flat(app_id: str = APP_ID) -> dict[str, Any]:
    """Return a click as the flat object that some documents print."""
    body = click(app_id=app_id)
    header = {name: value for name, value in body["header"].items() if name != "token"}
    return {"schema": "2.0", **header, **body["event"]}


def test_the_flat_object_of_some_documents_is_the_envelope() -> None:
    """Its token is the card's; everything else is as in the envelope."""
    as_sent, as_printed = admitted(plain(click())).callback, admitted(plain(flat())).callback
    assert isinstance(as_printed, CardAction)
    assert replace(as_sent, token=None, text=NO_TEXT) == replace(as_printed, text=NO_TEXT)
    assert CARD_TOKEN not in as_printed.text


def test_the_flat_object_that_the_sdk_was_given_comes_in() -> None:
    """It refuses it; we do not."""
    callback = admitted(http_callback("flat_object_without_header")["body"].encode()).callback
    assert isinstance(callback, CardAction)
    assert ("x", "c-1", "button") == (callback.event_id, callback.card_token, callback.action.tag)


def test_what_carries_no_id_is_known_by_the_frames() -> None:
    """Content alone is never an identity."""
    body = click(event_type="url.preview.get")
    del body["header"]["event_id"]
    came = admitted(plain(body))
    received = normalize(
        came.callback,
        app_id=AppId(APP_ID),
        received_at=NOW,
        request_id=None,
        delivery_key=None,
        signature=came.signature,
        signed_at=came.signed_at,
    )
    assert "m-1" == received.event_id


def test_a_legacy_click_happened_when_its_frame_was_made() -> None:
    """It carries no time of its own."""
    assert (NOW, "m-1") == (admitted(plain(legacy_click())).signed_at, admitted(plain(legacy_click())).signature)


@pytest.mark.parametrize(
    ("body", "style", "cause"),
    [
        (click(app_id="cli_other"), "both", "app_mismatch"),
        (flat("cli_other"), "both", "app_mismatch"),
        (click(), "legacy", "new_not_expected"),
        (legacy_click(), "new", "legacy_not_expected"),
    ],
)
def test_another_apps_and_unexpected_ones_are_refused(body: dict[str, Any], style: Any, cause: str) -> None:
    """As at the webhook."""
    with pytest.raises(CallbackRejected) as refused:
        FrameAdmission(AppId(APP_ID), style=style).admit(plain(body), HEADERS, now=NOW)
    assert cause == refused.value.cause


@pytest.mark.parametrize(
    "body",
    [b"", b"not JSON", b"[]", b"\xff", b"[" * 100_000, plain({"schema": "2.0"}), plain(verification()), encrypted({})],
)
def test_what_cannot_be_read_is_kept_for_a_person(body: bytes) -> None:
    """The platform made it, so it may be an honest click."""
    assert isinstance(FrameAdmission(AppId(APP_ID), style="both").admit(body, HEADERS, now=NOW), Illegible)
