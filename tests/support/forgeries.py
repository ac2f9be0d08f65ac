"""What comes from anybody but the platform: each is refused, and nobody outside can tell by which rule."""

import base64
from collections.abc import Iterator, Mapping
from typing import Final

from tests.support.callbacks import (
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
    verification,
)

OTHER_KEY: Final = "the encrypt key of another app"
OTHER_TOKEN: Final = "the verification token of another app"
WINDOW_MS: Final = 10 * 60 * 1000
DEEP: Final = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
BROKEN: Final[Mapping[str, bytes]] = {
    "no base64": plain({"encrypt": "***"}),
    "truncated AES": plain({"encrypt": base64.b64encode(bytes(47)).decode()}),
    "bad padding": plain({"encrypt": base64.b64encode(bytes(64)).decode()}),
    "encrypted, not UTF-8": encrypted(b'{"schema":"\xff"}'),
    "encrypted, not JSON": encrypted(b"nonsense"),
    "encrypted, far too deep": encrypted(DEEP),
    "encrypted, an unknown shape": encrypted(b'{"schema":"3.0"}'),
    "not UTF-8": b'{"schema":"\xff"}',
    "not JSON": b"nonsense",
    "far too deep": DEEP,
    "empty": b"",
}
"""Bodies that nobody can read, whoever signed them."""

RFC_850: Final = {"now": "Sunday, 15-Jun-25 23:06:40 CST", "late": "Sunday, 15-Jun-25 22:56:39 CST"}
"""The moment `NOW` and one a second outside the window, as the platform's older servers write times."""


def forgeries() -> Mapping[str, Wire]:
    """Return requests that an app with an Encrypt Key refuses with 401, legacy clicks let in or not."""
    return dict([*_unsigned(), *_signed_by_others(), *_downgraded(), *_at_another_time(), *_other_apps()])


def _unsigned() -> Iterator[tuple[str, Wire]]:
    for name, body in BROKEN.items():
        yield f"unsigned, {name}", Wire(body=body)
        yield f"wrongly signed, {name}", signed(body, key=OTHER_KEY)
        yield f"wrongly signed in the legacy style, {name}", signed_legacy(body, token=OTHER_TOKEN)
    for name, inner in (("click", click()), ("event", subscribed()), ("link", click(event_type="url.preview.get"))):
        wire = signed(encrypted(inner))
        yield f"{name} without headers", Wire(body=wire.body)
        yield f"{name} without signature", wire.but(signature=None)
        yield f"{name} with an empty signature", wire.but(signature="")
        yield f"{name} without time", wire.but(timestamp=None)
        yield f"{name} without nonce", wire.but(nonce=None)
        yield f"{name} in upper case", wire.but(signature=wire.headers["X-Lark-Signature"].upper())
        yield f"{name} with a long signature", wire.but(signature=wire.headers["X-Lark-Signature"] * 50)
    yield "legacy click without headers", Wire(body=plain(legacy_click()))
    yield "challenge with another token", Wire(body=plain(verification(OTHER_TOKEN)))
    yield "encrypted challenge with another token", Wire(body=encrypted(verification(OTHER_TOKEN)))


def _signed_by_others() -> Iterator[tuple[str, Wire]]:
    sealed = encrypted(click())
    for name, key in (("another app's key", OTHER_KEY), ("the empty key", ""), ("our token", VERIFICATION_TOKEN)):
        yield f"click signed with {name}", signed(sealed, key=key)
        yield f"click sealed and signed with {name}", signed(encrypted(click(), key=key), key=key)
    for name, token in (("another app's token", OTHER_TOKEN), ("no token", ""), ("our key", ENCRYPT_KEY)):
        yield f"legacy click signed with {name}", signed_legacy(plain(legacy_click()), token=token)
    other = signed(encrypted(click("ev2")))
    yield "click with another click's headers", Wire(body=sealed, headers=other.headers)


def _downgraded() -> Iterator[tuple[str, Wire]]:
    for name, body in (("click", click()), ("event", subscribed()), ("link", click(event_type="url.preview.get"))):
        yield f"{name} in plaintext, signed", signed(plain(body))
        yield f"{name} in plaintext, signed with the empty key", signed(plain(body), key="")
        yield f"{name} in plaintext with our token, unsigned", Wire(body=plain(body))
        yield f"{name} in plaintext, signed in the legacy style", signed_legacy(plain(body))
        yield f"{name} encrypted, signed in the legacy style", signed_legacy(encrypted(body))
    yield "legacy click signed in the new style", signed(plain(legacy_click()))
    flat = {"schema": "2.0", **click()["header"], **click()["event"]}
    yield "an SDK's flat view of a click", Wire(body=plain(flat))


def _at_another_time() -> Iterator[tuple[str, Wire]]:
    for name, at in (("long ago", NOW - WINDOW_MS - 1000), ("to come", NOW + WINDOW_MS + 1000)):
        yield f"click of a time {name}", signed(encrypted(click()), at=at)
        yield f"legacy click of a time {name}", signed_legacy(plain(legacy_click()), at=at)
    yield "legacy click of a date long ago", signed_legacy(plain(legacy_click()), timestamp=RFC_850["late"])
    moved = {"timestamp": f"{NOW // 1000}9", "nonce": "50646929"}
    back = {"timestamp": str(NOW // 1000)[:-1], "nonce": f"{str(NOW // 1000)[-1]}950646929"}
    for name, wire in (
        ("click", signed(encrypted(click()))),
        ("event", signed(encrypted(subscribed()))),
        ("legacy click", signed_legacy(plain(legacy_click()))),
    ):
        yield f"{name} with a digit moved into its time", wire.but(**moved)
        yield f"{name} with a digit moved out of its time", wire.but(**back)


def _other_apps() -> Iterator[tuple[str, Wire]]:
    yield "another app's click, with our key", signed(encrypted(click(app_id="cli_b2")))
    yield "another app's event, with our key", signed(encrypted(subscribed(app_id="cli_b2")))
