"""
Who gets in: raw bytes and headers to a callback that the platform made, or a refusal.

Pure. Sources: docs/reference/platform.md, "Signatures", "Encryption", "URL verification". The rules:

==========================  ======================================================================================
body                        comes in when
==========================  ======================================================================================
encrypted                   SHA-256 with an Encrypt Key, checked before decryption, and a time of ten digits; clicks
                            and previews within 10 minutes of it (events are repeated for hours)
plaintext, no Encrypt Key   its Verification Token is ours; the signature's key is empty then and proves nothing
plaintext, Encrypt Key set  never: leaving the encryption out must not be a way in
legacy click                SHA-1 with a Verification Token, within 10 minutes, if ``LARK_CALLBACKS`` says so
plaintext challenge         its Verification Token is ours, signed or not: only the challenge is given back
encrypted challenge         as any encrypted body if signed; unsigned if it decrypts to a challenge with our token
==========================  ======================================================================================

Several keys may be active, while they are being changed. Whatever names another app than the route's is refused.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, Protocol, assert_never

from gateway.credentials import Credentials
from shared.core.errors import CallbackRejected
from shared.core.json_text import EpochMs
from shared.core.value import Value
from shared.feishu.callback import (
    Callback,
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
from shared.feishu.crypto import Cipher, Undecryptable
from shared.feishu.signature import identity, is_signed, sign, sign_legacy, signed_at

MAX_BODY: Final = 256 * 1024
"""Bytes of a body; real ones have a few thousand (a form with every field filled, some ten thousand)."""

MAX_AGE_MS: Final = 10 * 60 * 1000
"""How far from now a click may have been signed. The platform names no window; this one forgives bad clocks."""

Cause = Literal[
    "body_too_large",
    "body_too_slow",
    "body_incomplete",
    "unreadable",
    "signature_missing",
    "signature_mismatch",
    "timestamp_malformed",
    "timestamp_out_of_window",
    "plaintext_downgrade",
    "encrypted_without_key",
    "token_mismatch",
    "app_mismatch",
    "legacy_not_expected",
    "new_not_expected",
]
"""Every reason for a refusal, for the log line and the metric; the caller never learns which it was."""

_NO_KEY_THERE: Final = "the console has no Encrypt Key, but LARK_ENCRYPT_KEY is set"

_REFUSED_LATER: Final = (
    "the challenge was not encrypted: new clicks will be refused until the console has an Encrypt Key, "
    "as in LARK_ENCRYPT_KEY"
)

_SECONDS: Final = re.compile(r"[0-9]{10}")


class CallbackHeaders(Value, frozen=True, kw_only=True):
    """
    The headers that matter, as received; ``None`` where absent.

    Attributes:
        message_id: Of a frame of the long connection; a request has none.
        traceparent: Whatever the caller, or a proxy before us, says of its trace.
    """

    signature: str | None = None
    timestamp: str | None = None
    nonce: str | None = None
    request_id: str | None = None
    message_id: str | None = None
    traceparent: str | None = None


class Admitted(Value, frozen=True, kw_only=True):
    """
    A callback that the platform made.

    Attributes:
        signature: The verified digest (hex), of a frame its ``message_id``; ``None`` where there was neither. Of a
            request without an id, the digest of that digest: it becomes the id, and ids are logged.
        signed_at: The time in the signed header (ms), where it has one that can be read.
    """

    callback: Interactive
    signature: str | None = None
    signed_at: EpochMs | None = None


class Verification(Value, frozen=True, kw_only=True):
    """
    The console wants its challenge back.

    Attributes:
        hint: Why clicks will be refused all the same, if that can be seen by now.
    """

    challenge: str
    hint: str | None = None


class Illegible(Value, frozen=True, kw_only=True):
    """A body that was correctly signed and cannot be read: an honest click in a shape that we do not know."""

    reason: str


class Admits(Protocol):
    """A rule of admission: `Admission` for requests, `gateway.longconn.admission` for frames."""

    def admit(self, body: bytes, headers: CallbackHeaders, *, now: EpochMs) -> Admitted | Verification | Illegible:
        """
        Return what came in.

        Args:
            body: The raw body, exactly as it was on the wire.

        Raises:
            CallbackRejected: With its `Cause`, and in `hint` the setting that could be the matter.
        """


class Admission:
    """Judges callbacks of one app. Holds its keys, and nothing that changes."""

    def __init__(self, credentials: Credentials) -> None:
        self._app_id = credentials.app_id
        self._style = credentials.style
        self._keys = tuple((key.reveal(), Cipher(key.reveal())) for key in credentials.encrypt_keys)
        self._tokens = tuple(token.reveal() for token in credentials.verification_tokens)
        self._foresight = _REFUSED_LATER if self._keys and self._style != "legacy" else None

    def admit(self, body: bytes, headers: CallbackHeaders, *, now: EpochMs) -> Admitted | Verification | Illegible:
        try:
            outer = parse(body)
        except UnreadableCallback as error:
            return self._unreadable(body, headers, str(error), now)
        match outer:
            case Challenge():
                return self._challenge(outer)
            case Encrypted():
                return self._encrypted(outer, body, headers, now)
            case LegacyCardAction():
                return self._legacy(outer, body, headers, now)
            case CardAction() | LinkPreview() | SubscribedEvent():
                return self._plaintext(outer, body, headers)
            case _ as unreachable:
                assert_never(unreachable)

    def _challenge(self, challenge: Challenge) -> Verification:
        if self._keys and not self._tokens:
            raise _refused("plaintext_downgrade", hint=_NO_KEY_THERE)
        if not self._is_ours(challenge.token):
            raise _refused("token_mismatch", hint="compare LARK_VERIFICATION_TOKEN with the developer console")
        return Verification(challenge=challenge.challenge, hint=self._foresight)

    def _encrypted(
        self, outer: Encrypted, body: bytes, headers: CallbackHeaders, now: EpochMs
    ) -> Admitted | Verification | Illegible:
        if not self._keys:
            raise _refused("encrypted_without_key", hint="the console has an Encrypt Key: set LARK_ENCRYPT_KEY")
        if not headers.signature:
            return self._unsigned_challenge(outer)
        digest, cipher = self._verified(body, headers)
        try:
            inner = parse(cipher.decrypt(outer.encrypt))
        except (Undecryptable, UnreadableCallback) as error:
            return _illegible(str(error), headers)
        match inner:
            case Challenge():
                return Verification(challenge=inner.challenge)
            case SubscribedEvent():
                return self._admitted(inner, digest, _seconds(headers))
            case CardAction() | LinkPreview():
                return self._admitted(inner, digest, _within(_seconds(headers), now))
            case Encrypted() | LegacyCardAction():
                # Neither is ever sent encrypted, so something changed at the platform: keep it for a person to see.
                return _illegible(f"an encrypted {type(inner).__name__}", headers)
            case _ as unreachable:
                assert_never(unreachable)

    def _unsigned_challenge(self, outer: Encrypted) -> Verification:
        for _, cipher in self._keys:
            inner = _opened(cipher, outer)
            # Without a token to compare, having encrypted it is the proof of knowing the Encrypt Key.
            if isinstance(inner, Challenge) and (not self._tokens or self._is_ours(inner.token)):
                return Verification(challenge=inner.challenge)
        raise _refused("signature_missing")

    def _legacy(self, click: LegacyCardAction, body: bytes, headers: CallbackHeaders, now: EpochMs) -> Admitted:
        if self._style == "new":
            raise _refused("legacy_not_expected", hint="LARK_CALLBACKS=both lets legacy card callbacks in")
        if not headers.signature:
            raise _refused("signature_missing")
        digest = self._verified_legacy(body, headers)
        if digest is None:
            raise _refused("signature_mismatch", hint="compare LARK_VERIFICATION_TOKEN with the developer console")
        at = signed_at(headers.timestamp or "")
        if at is None:
            raise _refused("timestamp_malformed")
        return self._admitted(click, digest, _within(at, now))

    def _plaintext(
        self, callback: CardAction | LinkPreview | SubscribedEvent, body: bytes, headers: CallbackHeaders
    ) -> Admitted:
        if self._keys:
            raise _refused("plaintext_downgrade", hint=_NO_KEY_THERE)
        if not self._is_ours(callback.token):
            raise _refused("token_mismatch", hint="compare LARK_VERIFICATION_TOKEN with the developer console")
        # Proves nothing about who signed, but still tells one delivery from another.
        digest = _digest(body, headers, encrypt_key="")
        told = headers.signature if is_signed(headers.signature, digest) else None
        return self._admitted(callback, told, signed_at(headers.timestamp or "") if told else None)

    def _unreadable(self, body: bytes, headers: CallbackHeaders, reason: str, now: EpochMs) -> Illegible:
        if headers.signature and self._signed_by(body, headers):
            return _illegible(reason, headers)
        if headers.signature and self._style != "new" and self._verified_legacy(body, headers):
            at = signed_at(headers.timestamp or "")
            if at is not None and _within(at, now):
                return Illegible(reason=reason)
        raise _refused("unreadable")

    def _admitted(self, callback: Interactive, digest: str | None, at: EpochMs | None) -> Admitted:
        if callback.app_id is not None and callback.app_id != self._app_id:
            raise _refused("app_mismatch", hint="the callback is another app's: compare LARK_APP_ID")
        if isinstance(callback, CardAction) and self._style == "legacy":
            raise _refused("new_not_expected", hint="LARK_CALLBACKS=both lets new card callbacks in")
        told = identity(digest) if digest and callback.event_id is None else digest
        return Admitted(callback=callback, signature=told, signed_at=at)

    def _verified(self, body: bytes, headers: CallbackHeaders) -> tuple[str, Cipher]:
        if not (signed := self._signed_by(body, headers)):
            raise _refused("signature_mismatch", hint="compare LARK_ENCRYPT_KEY with the developer console")
        return signed[0]

    def _signed_by(self, body: bytes, headers: CallbackHeaders) -> Sequence[tuple[str, Cipher]]:
        """Return the Encrypt Keys, as ciphers, that made the signature that came, and it; every key is tried."""
        tried = [(_digest(body, headers, encrypt_key=key), cipher) for key, cipher in self._keys]
        return [(digest, cipher) for digest, cipher in tried if is_signed(headers.signature, digest)]

    def _verified_legacy(self, body: bytes, headers: CallbackHeaders) -> str | None:
        for token in self._tokens:
            digest = sign_legacy(
                body, timestamp=headers.timestamp or "", nonce=headers.nonce or "", verification_token=token
            )
            if is_signed(headers.signature, digest):
                return digest
        return None

    def _is_ours(self, token: str | None) -> bool:
        # A list: all are compared, so that the time taken does not tell which.
        return any([is_signed(token, ours) for ours in self._tokens])  # noqa: C419


def _digest(body: bytes, headers: CallbackHeaders, *, encrypt_key: str) -> str:
    return sign(body, timestamp=headers.timestamp or "", nonce=headers.nonce or "", encrypt_key=encrypt_key)


def _opened(cipher: Cipher, outer: Encrypted) -> Callback | None:
    try:
        return parse(cipher.decrypt(outer.encrypt))
    except (Undecryptable, UnreadableCallback):
        return None


def _illegible(reason: str, headers: CallbackHeaders) -> Illegible:
    _seconds(headers)
    return Illegible(reason=reason)


def _seconds(headers: CallbackHeaders) -> EpochMs:
    # Exactly ten digits: time and nonce are signed as one text, so that a time of another length could be a signed
    # one with some of the nonce's digits, or without some of its own.
    if not _SECONDS.fullmatch(headers.timestamp or ""):
        raise _refused("timestamp_malformed")
    return int(headers.timestamp or "") * 1000


def _within(at: EpochMs, now: EpochMs) -> EpochMs:
    if abs(now - at) > MAX_AGE_MS:
        raise _refused("timestamp_out_of_window", hint="is this machine's clock right?")
    return at


def _refused(cause: Cause, *, hint: str | None = None) -> CallbackRejected:
    return CallbackRejected(cause, hint=hint)
