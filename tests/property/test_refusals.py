"""Every byte and every header of what the platform signed, one by one; and refusals that nobody can tell apart."""

import ast
import inspect
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

import gateway.admission
import shared.feishu.signature
from gateway.admission import MAX_AGE_MS, Admission, Admitted, CallbackHeaders, Illegible
from gateway.credentials import Credentials
from gateway.reply import REJECTED, rejected
from shared.app.app import App
from shared.core.errors import CallbackRejected
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.feishu.signature import signed_at
from tests.support.callbacks import (
    APP_ID,
    ENCRYPT_KEY,
    NOW,
    VERIFICATION_TOKEN,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
    subscribed,
)
from tests.support.doorway import doorway
from tests.support.forgeries import BROKEN, RFC_850, WINDOW_MS, forgeries
from tests.vectors import http_callback

NAMES = ("X-Lark-Signature", "X-Lark-Request-Timestamp", "X-Lark-Request-Nonce")
FORGERIES = forgeries()


class Door:
    """One app's rule of admission at a moment."""

    def __init__(self, key: str, token: str, *, app_id: str = APP_ID, now: EpochMs = NOW) -> None:
        self.now = now
        self._admission = Admission(
            Credentials(
                app_id=AppId(app_id),
                encrypt_keys=(Secret(key),) if key else (),
                verification_tokens=(Secret(token),),
                style="both",
            )
        )

    def tries(self, body: bytes, headers: dict[str, str]) -> object:
        """Return what comes in, or the status of the refusal."""
        signature, timestamp, nonce = (headers.get(name) for name in NAMES)
        told = CallbackHeaders(signature=signature, timestamp=timestamp, nonce=nonce)
        try:
            return self._admission.admit(body, told, now=self.now)
        except CallbackRejected as refused:
            return refused.http_status


OURS = Door(ENCRYPT_KEY, VERIFICATION_TOKEN)


def _recorded(name: str) -> tuple[Door, Wire]:
    case = http_callback(name)
    now = signed_at(case["headers"]["X-Lark-Request-Timestamp"])
    assert now is not None
    door = Door(case["encrypt_key"], case["verification_token"], app_id="cli_a1b2c3d4e5f60718", now=now)
    return door, Wire(body=case["body"].encode(), headers={name: case["headers"][name] for name in NAMES})


SIGNED = {
    "click": (OURS, signed(encrypted(click()))),
    "event": (OURS, signed(encrypted(subscribed()))),
    "legacy click": (OURS, signed_legacy(plain(legacy_click()))),
    "unreadable": (OURS, signed(BROKEN["bad padding"])),
    "recorded click": _recorded("card_action_trigger_encrypted_signed"),
    "recorded link": _recorded("url_preview_get_encrypted_signed"),
    "recorded legacy click": _recorded("legacy_card_signed_rfc850_timestamp"),
}
each_signed = pytest.mark.parametrize(("door", "wire"), SIGNED.values(), ids=SIGNED)


@each_signed
def test_untouched_it_comes_in(door: Door, wire: Wire) -> None:
    """Or the rest of this page would prove nothing."""
    assert isinstance(door.tries(wire.body, wire.headers), Admitted | Illegible)


def _mutations(text: bytes) -> Iterator[bytes]:
    for at in range(len(text)):
        for other in (text[at] ^ 0x01, text[at] ^ 0x20, text[at] ^ 0x80, 0x00):
            if other != text[at]:
                yield text[:at] + bytes([other]) + text[at + 1 :]
        yield text[:at] + text[at + 1 :]
        yield text[:at] + text[at : at + 1] + text[at:]


@each_signed
def test_every_byte_of_the_body_counts(door: Door, wire: Wire) -> None:
    """Changed, left out, doubled: each is refused."""
    assert {401} == {door.tries(body, wire.headers) for body in _mutations(wire.body) if body != wire.body}


@each_signed
@pytest.mark.parametrize("name", NAMES)
def test_every_byte_of_a_signed_header_counts(door: Door, wire: Wire, name: str) -> None:
    """Every other byte in its place, one less, one more, none at all."""
    given = wire.headers[name].encode()
    changed = {given[:at] + bytes([byte]) + given[at + 1 :] for at in range(len(given)) for byte in range(256)}
    texts = [text.decode("utf-8", "surrogateescape") for text in changed | {*_mutations(given)} if text != given]
    assert {401} == {door.tries(wire.body, {**wire.headers, name: text}) for text in ("", *texts)}
    assert 401 == door.tries(wire.body, {other: text for other, text in wire.headers.items() if other != name})


@each_signed
def test_the_border_between_time_and_nonce_cannot_be_moved(door: Door, wire: Wire) -> None:
    """They are signed as one text, so the signature holds wherever they are parted."""
    _, stamp, nonce = (wire.headers[name] for name in NAMES)
    together = stamp + nonce
    borders = [at for at in range(len(together) + 1) if at != len(stamp)]
    moved = [{**wire.headers, NAMES[1]: together[:at], NAMES[2]: together[at:]} for at in borders]
    assert {401} == {door.tries(wire.body, headers) for headers in moved}


@pytest.mark.parametrize("style", ["new", "legacy", "RFC 850"])
def test_the_window_ends_to_the_second(style: str) -> None:
    """Ten minutes either way, whatever style and form of time."""
    wire = {
        "new": signed(encrypted(click())),
        "legacy": signed_legacy(plain(legacy_click())),
        "RFC 850": signed_legacy(plain(legacy_click()), timestamp=RFC_850["now"]),
    }[style]
    assert WINDOW_MS == MAX_AGE_MS
    for off_ms, comes_in in ((0, True), (WINDOW_MS, True), (WINDOW_MS + 1, False)):
        for now in (NOW - off_ms, NOW + off_ms):
            door = Door(ENCRYPT_KEY, VERIFICATION_TOKEN, now=now)
            assert comes_in == isinstance(door.tries(wire.body, wire.headers), Admitted)


@pytest.mark.parametrize("wire", FORGERIES.values(), ids=FORGERIES)
async def test_what_is_forged_is_refused_like_everything_else_that_is(wire: Wire) -> None:
    """One reply, whatever the cause; nothing is appended, by any way."""
    async with doorway(App(), app_id=APP_ID, verification_token=VERIFICATION_TOKEN, encrypt_key=ENCRYPT_KEY) as door:
        reply = await door.send(wire)
        assert reply.cause
        headers = CallbackHeaders(request_id=wire.headers.get("X-Request-Id"))
        expected = rejected(CallbackRejected("x"), headers, reply.started)
        assert replace(expected, cause=None) == replace(reply, cause=None, hint=None)
        assert (401, REJECTED) == (reply.status, reply.body)
        assert [] == door.log.appends


def _tree(module: object) -> ast.Module:
    return ast.parse(inspect.getsource(module))  # type: ignore[arg-type]  # modules, as it takes them


def test_secrets_are_compared_in_constant_time_and_in_one_place() -> None:
    """What is compared plainly is known to everybody, and the one comparison of secrets looks at every byte."""
    plainly = {
        ast.unparse(found)
        for module in (gateway.admission, shared.feishu.signature)
        for found in ast.walk(_tree(module))
        if isinstance(found, ast.Compare) and isinstance(found.ops[0], ast.Eq | ast.NotEq)
    }
    about_nothing_secret = {
        "callback.app_id != self._app_id", "self._style == 'legacy'", "self._style == 'new'", "self._style != 'new'",
        "self._style != 'legacy'", "given != ''",
    }  # fmt: skip
    assert plainly <= about_nothing_secret
    calls = [
        ast.unparse(found.func) for found in ast.walk(_tree(shared.feishu.signature)) if isinstance(found, ast.Call)
    ]
    assert 1 == calls.count("hmac.compare_digest")


def test_every_refusal_is_made_in_one_place() -> None:
    """One function raises for every cause, and all of its refusals have the one status."""
    raised = [
        ast.unparse(found.exc.func)
        for found in ast.walk(_tree(gateway.admission))
        if isinstance(found, ast.Raise) and isinstance(found.exc, ast.Call)
    ]
    assert {"_refused"} == set(raised)
    assert len(raised) >= 10
