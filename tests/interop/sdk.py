"""The platform's official SDK for Python, as a judge of our wire code. Importing it takes seconds."""

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at import it uses what its dependencies deprecated
    import lark_oapi as lark
    from lark_oapi.core.model import RawRequest
    from lark_oapi.core.utils.decryptor import AESCipher
    from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTriggerResponse
    from lark_oapi.event.callback.model.p2_url_preview_get import P2URLPreviewGetResponse

# It logs every refusal with a traceback; refusals are what these tests are about.
logging.getLogger("Lark").setLevel(logging.CRITICAL)

TOAST: Final = {"type": "success", "content": "done", "i18n": {"zh_cn": "完成", "en_us": "done"}}
CARD: Final = {"type": "raw", "data": {"schema": "2.0", "body": {"elements": []}}}


def decrypt(encrypt_key: str, encrypted: str) -> str:
    """Return what the SDK decrypts."""
    return str(AESCipher(encrypt_key).decrypt_str(encrypted))


def events(
    encrypt_key: str,
    verification_token: str,
    *,
    on_card: Callable[[Any], object] | None = None,
    on_link: Callable[[Any], object] = lambda _: {"title": "t"},
    on_event: Callable[[Any], object] = lambda _: None,
) -> Callable[[Mapping[str, str], bytes], tuple[int, bytes]]:
    """
    Return the SDK's server for new callbacks and events.

    Args:
        on_card: Answers a card action.
        on_link: Returns what a link is shown as in its line.
        on_event: Takes the first-version event ``out_approval``.
    """
    builder = lark.EventDispatcherHandler.builder(encrypt_key, verification_token)
    answer = on_card or (lambda _: P2CardActionTriggerResponse({"toast": TOAST, "card": CARD}))
    builder.register_p2_card_action_trigger(answer)
    builder.register_p2_url_preview_get(lambda link: P2URLPreviewGetResponse({"inline": on_link(link)}))
    builder.register_p1_customized_event("out_approval", on_event)
    return _server(builder.build())


def connected(
    *,
    on_card: Callable[[Any], object] = lambda _: None,
    on_link: Callable[[Any], object] = lambda _: {"title": "t"},
) -> Callable[[bytes], Any]:
    """Return what the SDK answers over its long connection: payloads are neither signed nor sealed there."""
    builder = lark.EventDispatcherHandler.builder("", "")
    builder.register_p2_card_action_trigger(on_card)
    builder.register_p2_url_preview_get(lambda link: P2URLPreviewGetResponse({"inline": on_link(link)}))
    handler = builder.build()

    def answer(payload: bytes) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own client calls the same under another name
            return json.loads(lark.JSON.marshal(handler.do_without_validation(payload)))

    return answer


def legacy(
    encrypt_key: str, verification_token: str, *, on_card: Callable[[Any], object] = lambda _: None
) -> Callable[[Mapping[str, str], bytes], tuple[int, bytes]]:
    """Return the SDK's server for legacy card callbacks."""
    return _server(lark.CardActionHandler.builder(encrypt_key, verification_token).register(on_card).build())


def stay_connected(
    domain: str,
    app_id: str,
    app_secret: str,
    *,
    on_card: Callable[[Any], object],
    on_preview: Callable[[Any], object],
    on_approval: Callable[[Any], object],
) -> None:
    """Let the SDK keep a long connection, for good; a card is answered with `TOAST` and `CARD`."""

    def answer(click: Any) -> object:
        on_card(click)
        return P2CardActionTriggerResponse({"toast": TOAST, "card": CARD})

    def preview(link: Any) -> object:
        on_preview(link)
        return P2URLPreviewGetResponse({"inline": {"title": "t"}})

    builder = lark.EventDispatcherHandler.builder("", "")
    builder.register_p2_card_action_trigger(answer)
    builder.register_p2_url_preview_get(preview)
    builder.register_p1_customized_event("out_approval", on_approval)
    lark.ws.Client(app_id, app_secret, event_handler=builder.build(), domain=domain).start()


def toast_as_read(body: bytes) -> Any:
    """Return a callback response as the SDK understands it, written again by the SDK."""
    return json.loads(lark.JSON.marshal(P2CardActionTriggerResponse(json.loads(body))))


def _server(handler: Any) -> Callable[[Mapping[str, str], bytes], tuple[int, bytes]]:
    def serve(headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        request = RawRequest()
        request.uri, request.headers, request.body = "/", dict(headers), body
        response = handler.do(request)
        return int(response.status_code), bytes(response.content)

    return serve
