"""
The two signatures of callbacks, over the exact bytes received. Source: docs/reference/platform.md, "Signatures".

New style: SHA-256 with the Encrypt Key. Legacy card callbacks: SHA-1 with the Verification Token. Without an
Encrypt Key the platform signs all the same, with an empty key: such a signature proves nothing.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from shared.core.json_text import EpochMs

_SECONDS: Final = re.compile(r"[0-9]{10}")
_RFC_850: Final = re.compile(
    r"[A-Z][a-z]+, ([0-9]{2})-([A-Z][a-z]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) (CST|GMT|UTC)"
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# The platform's servers write China Standard Time; North America's CST is another zone of the same name.
_ZONES: Final = {"CST": timezone(timedelta(hours=8)), "GMT": UTC, "UTC": UTC}


def sign(body: bytes, *, timestamp: str, nonce: str, encrypt_key: str) -> str:
    """
    Return the new-style signature: 64 lower-case hex digits.

    Args:
        body: The body as it is on the wire, still encrypted.
        timestamp: ``X-Lark-Request-Timestamp`` as received.
        nonce: ``X-Lark-Request-Nonce`` as received.
        encrypt_key: The app's Encrypt Key; empty if it has none.
    """
    return hashlib.sha256(_wire(timestamp + nonce + encrypt_key) + body).hexdigest()


def sign_legacy(body: bytes, *, timestamp: str, nonce: str, verification_token: str) -> str:
    """Return the signature of a legacy card callback: 40 lower-case hex digits. Arguments as for `sign`."""
    return hashlib.sha1(_wire(timestamp + nonce + verification_token) + body, usedforsecurity=False).hexdigest()


def identity(signature: str) -> str:
    """Return what a callback without an id of its own is known by: ids are logged, and signatures are not."""
    return hashlib.sha256(_wire(signature)).hexdigest()


def is_signed(given: str | None, expected: str) -> bool:
    """Tell, in constant time, whether the signature that came is the expected one; upper case, or none, never is."""
    return given is not None and given != "" and hmac.compare_digest(_wire(given), _wire(expected))


def signed_at(timestamp: str) -> EpochMs | None:
    """
    Return the time of the signed timestamp header (ms); ``None`` if it is neither of the two known forms.

    The forms: ten digits of Unix seconds, or an RFC 850 date (``Monday, 09-Nov-20 23:33:53 CST``).
    """
    if _SECONDS.fullmatch(timestamp):
        return int(timestamp) * 1000
    if (date := _RFC_850.fullmatch(timestamp)) and date[2] in _MONTHS:
        day, month, year, hour, minute, second, zone = date.groups()
        numbers = (2000 + int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
        try:
            return int(datetime(*numbers, tzinfo=_ZONES[zone]).timestamp()) * 1000
        except ValueError:
            return None
    return None


def _wire(text: str) -> bytes:
    # Servers hand over header bytes that are not UTF-8 as surrogates: back to the bytes that were signed.
    return text.encode("utf-8", "surrogateescape")
