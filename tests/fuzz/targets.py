"""
What must hold of any bytes: each target takes some as they might come from outside, and raises if something is wrong.

Where a function says which exception it raises for bytes that are none of its own, that one is no finding.
"""

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from gateway.admission import Admission, Admitted, CallbackHeaders, Illegible, Verification
from gateway.credentials import Credentials
from gateway.longconn.admission import FrameAdmission
from gateway.requests.body import BadRequest, read_request
from shared.core.answers import CustomAnswer, Inline, PreviewUrls
from shared.core.cards import Toast
from shared.core.codec import decode as decode_record
from shared.core.codec import encode as encode_record
from shared.core.effects import UpdateCard
from shared.core.errors import CallbackRejected
from shared.core.events import Answer, InteractionKind
from shared.core.ids import AppId, ChatId, MessageId
from shared.core.json_text import JsonText
from shared.core.secret import Secret
from shared.feishu import answer, cards, connection, flat, fragments, frames, members, openapi, signature, validity
from shared.feishu.callback import Challenge, Encrypted, Interactive, UnreadableCallback, parse
from shared.feishu.crypto import BLOCK, Cipher, Undecryptable
from shared.feishu.normalize import delivery_key, normalize, platform_time

Target = Callable[[bytes], None]

APP_ID: Final = AppId("cli_fuzz")
KEY: Final = "the key of the fuzzed app"
TOKEN: Final = "the token of the fuzzed app"
NOW: Final = 1_750_000_000_000
STAMP: Final = str(NOW // 1000)
KINDS: Final[tuple[InteractionKind, ...]] = ("card_action", "card_action_v1", "link_preview", "event")

_CIPHER: Final = Cipher(KEY)
_ADMISSIONS: Final = tuple(
    Admission(
        Credentials(
            app_id=APP_ID,
            encrypt_keys=tuple(Secret(key) for key in keys),
            verification_tokens=(Secret(TOKEN),),
            style="both",
        )
    )
    for keys in ((KEY,), ())
)
_FRAMES: Final = FrameAdmission(APP_ID, style="both")


def callbacks(data: bytes) -> None:
    """A body becomes a fact that the log gives back as it was, and the text that is kept has no token in it."""
    try:
        came = parse(flat.enveloped(data))
    except UnreadableCallback:
        return
    match came:
        case Challenge():
            assert json.loads(answer.challenge(came.challenge)).keys() == {"challenge"}
        case Encrypted():
            with suppress(Undecryptable):
                _CIPHER.decrypt(came.encrypt)
        case _:
            _is_a_fact(came)


def admitted(data: bytes) -> None:
    """Signed bytes are let in, parked, or refused as another app's; the same bytes unsigned never come in."""
    sealed = json.dumps({"encrypt": _CIPHER.encrypt(data, iv=bytes(BLOCK))}).encode()
    for body in (sealed, data):
        headers = CallbackHeaders(
            signature=signature.sign(body, timestamp=STAMP, nonce="1", encrypt_key=KEY), timestamp=STAMP, nonce="1"
        )
        _admit(body, headers)
        _is_refused(body, replace(headers, nonce="2"))
    legacy = signature.sign_legacy(data, timestamp=STAMP, nonce="1", verification_token=TOKEN)
    _admit(data, CallbackHeaders(signature=legacy, timestamp=STAMP, nonce="1"))
    _is_refused(data, CallbackHeaders())
    with suppress(CallbackRejected):
        _FRAMES.admit(data, CallbackHeaders(message_id="m"), now=NOW)


def ciphertexts(data: bytes) -> None:
    """What decrypts encrypts to the same again, and everything else is undecryptable."""
    with suppress(Undecryptable):
        _CIPHER.decrypt(data.decode("utf-8", "replace"))
    sealed = base64.b64encode(data).decode()
    with suppress(Undecryptable):
        assert sealed == _CIPHER.encrypt(_CIPHER.decrypt(sealed), iv=data[:BLOCK])


def headers(data: bytes) -> None:
    """Signature, time, nonce and request id, by lines: whatever they are, they sign nothing and have a time or none."""
    given, timestamp, nonce, request_id = _pieces(data, 4, b"\n")
    expected = signature.sign(data, timestamp=timestamp, nonce=nonce, encrypt_key=KEY)
    legacy = signature.sign_legacy(data, timestamp=timestamp, nonce=nonce, verification_token=TOKEN)
    assert not signature.is_signed(given, expected)
    assert not signature.is_signed(given, legacy)
    for at in (signature.signed_at(timestamp), platform_time(timestamp)):
        assert at is None or 0 <= at < 10**14
    assert (delivery_key(request_id, data) is None) == (not request_id)
    told = CallbackHeaders(signature=given, timestamp=timestamp, nonce=nonce, request_id=request_id)
    _is_refused(data, told)


def objects(data: bytes) -> None:
    """An object is taken apart and put together as the standard library reads it; what that refuses is refused."""
    try:
        text = members.utf8(data)
        found = members.members(text)
    except ValueError:
        return
    if found is None:
        assert not text.lstrip().startswith(b"{")
        return
    expected = _read(text.decode())
    assert found == members.members(members.joined(found).encode())
    for part in found.values():
        members.string(part)
        members.strings(part)
        members.boolean(part)
    if expected is not _TOO_DEEP:
        assert expected == {name: _read(members.exact(part)) for name, part in found.items()}


def long_connection(data: bytes) -> None:
    """Frames, each behind its length in two bytes: read or refused, written as they were, put together in bounds."""
    parts = fragments.Reassembly()
    while data:
        length, data = int.from_bytes(data[:2], "big"), data[2:]
        piece, data = data[:length], data[length:]
        try:
            frame = frames.decode(piece)
            assert frame == frames.decode(frames.encode(frame))
            whole = parts.add(frame, now=0.0)
        except frames.BadFrame:
            continue
        connection.read_parameters(frame.payload, connection.DEFAULTS)
        if whole is not None:
            assert len(whole.payload) <= fragments.MAX_PAYLOAD
            frames.encode(frames.answer(whole.last, whole.payload, took_ms=1))
            callbacks(whole.payload)


def handshakes(data: bytes) -> None:
    """Whatever the endpoint and the handshake answer is understood somehow, and a ticket shows in no repr."""
    for status, is_secure in ((200, True), (200, False), (500, True)):
        found = connection.read_endpoint(status, data, is_secure=is_secure)
        if isinstance(found, connection.Endpoint):
            assert found.url not in repr(found)
    asked = connection.read_parameters(data, connection.DEFAULTS)
    assert asked == connection.read_parameters(json.dumps(connection.written(asked)).encode(), connection.DEFAULTS)
    told, code = _pieces(data, 2, b"\n")
    connection.read_handshake({connection.STATUS_HEADER: told, connection.CODE_HEADER: code}, 200)


def answers(data: bytes) -> None:
    """Whatever a handlers module answers, and whatever a card holds, what leaves is a JSON object in UTF-8."""
    text, card, title, url = (piece.encode("utf-8", "surrogateescape") for piece in _pieces(data, 4, b"\0"))
    content, shown = text.decode("utf-8", "replace"), JsonText(card.decode("utf-8", "replace"))
    given = Answer(
        toast=Toast(content=content, i18n={"en_us": title.decode("utf-8", "replace")}),
        card=shown,
        inline=Inline(title=content, url=PreviewUrls(web=url.decode("utf-8", "replace"))),
    )
    custom = Answer(custom=CustomAnswer(200, shown))
    for kind in KINDS:
        for one in (given, custom):
            assert isinstance(json.loads(answer.render(one, kind)), dict)
    cards.is_exclusive(shown)
    assert cards.everybodys(shown) == cards.everybodys(cards.everybodys(shown))
    validity.fits(shown)
    _stays_a_path(openapi.update_card(MessageId(content), shown))
    _stays_a_path(openapi.rename_chat(ChatId(content), content))
    openapi.send_card(content, shown, uuid="u")


def requests(data: bytes) -> None:
    """A body of a program is a fact that the log gives back as it was, about one card or none; or refused in a line."""
    try:
        requested = read_request(data)
    except BadRequest as refusal:
        line = str(refusal)
        assert ": expected " in line
        assert line.isprintable()
        return
    received = requested.by("billing", NOW)
    record = encode_record(received)
    assert received == decode_record(record.headers, record.value)
    about = {effect.message_id for effect in received.effects if isinstance(effect, UpdateCard)}
    assert about <= {received.message_id}
    assert record.key == f"{received.app_id}:{received.message_id or received.event_id}"


def replies(data: bytes) -> None:
    """Whatever the platform replies is a success or an error, with no text of it in a repr."""
    for status in (200, 400, 429, 500):
        given = {"x-ogw-ratelimit-reset": _pieces(data, 1, b"\n")[0], "x-tt-logid": "log"}
        reply = openapi.ApiReply(status=status, headers=given, body=data)
        found = openapi.read(reply)
        if isinstance(found, openapi.Success):
            openapi.sent(found.data)
        token = openapi.read_token(reply)
        assert not isinstance(token, openapi.Token) or "value" not in repr(token)


TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target
    for target in (
        callbacks,
        admitted,
        ciphertexts,
        headers,
        objects,
        long_connection,
        handshakes,
        answers,
        requests,
        replies,
    )
}

_TOO_DEEP: Final = object()
_READER: Final = json.JSONDecoder(parse_int=str, parse_float=str)


def _is_a_fact(came: Interactive) -> None:
    received = normalize(
        came, app_id=APP_ID, received_at=NOW, request_id="r", delivery_key=None, signature="s", signed_at=NOW
    )
    record = encode_record(received)
    assert received == decode_record(record.headers, record.value)
    again = parse((received.callback or "").encode())
    assert replace(came, token=None, card_token=None, preview_token=None, app_ticket=None) == again


def _admit(body: bytes, headers: CallbackHeaders) -> None:
    for admission in _ADMISSIONS:
        with suppress(CallbackRejected):
            assert isinstance(admission.admit(body, headers, now=NOW), Admitted | Verification | Illegible)


def _is_refused(body: bytes, headers: CallbackHeaders) -> None:
    for admission in _ADMISSIONS:
        try:
            came: object = admission.admit(body, headers, now=NOW)
        except CallbackRejected as refused:
            came = refused.http_status
        assert came == 401


def _stays_a_path(request: openapi.ApiRequest) -> None:
    assert request.path.count("/") == 5
    assert request.path.isascii()


def _pieces(data: bytes, number: int, between: bytes) -> list[str]:
    """Cut bytes into so many texts, as servers hand over headers: bytes that are no UTF-8 as surrogates."""
    parts = data.split(between, number - 1)
    return [part.decode("utf-8", "surrogateescape") for part in parts + [b""] * (number - len(parts))]


def _read(text: str) -> Any:
    try:
        return _READER.decode(text)
    except RecursionError:
        return _TOO_DEEP
