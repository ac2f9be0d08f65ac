"""
Requests that are there as a whole, in the usual form: read at one go.

The library's parser takes whatever HTTP allows, in pieces, and makes six objects of a request on its way to us. Nearly
all that come here are posted in one piece, without anything that would change how they are read; these take a quarter
of that. Nothing is judged here of any other: the library reads it, and would read the usual one alike
(tests/property/test_whole_requests.py).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from gateway.admission import MAX_BODY
from shared.core.value import Value

MAX_HEAD: Final = 4096
"""Bytes of a request line and headers; the library takes more, of each."""

_END: Final = b"\r\n\r\n"
_LINE: Final = b"\r\n"
_SHOWN: Final = bytes(range(0x20, 0x7F))
_START: Final = b"POST /"
_LENGTH: Final = re.compile(rb"\r\nContent-Length: *([0-9]{1,9})\b", re.IGNORECASE)
_ASKS: Final = re.compile(rb"\r\nExpect:", re.IGNORECASE)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHANGING: Final = frozenset(
    {
        *{"connection", "content-encoding", "expect", "proxy-connection", "sec-websocket-key1"},
        *{"te", "trailer", "transfer-encoding", "upgrade"},
    }
)
"""Headers that say how the request is to be read or what is to follow it, and one that the library takes amiss."""


class Whole(Value, frozen=True, kw_only=True):
    """
    A request that was posted, and its connection stays open.

    Attributes:
        path: As it is on the wire.
        headers: By their names in lower case, each of which came once.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes


def whole(data: bytes) -> Whole | None:
    """Return the request that these bytes are, all of them and nothing more; ``None`` says nothing about them."""
    head, _, body = data.partition(_END)
    if len(head) > MAX_HEAD or not 0 < len(body) <= MAX_BODY:
        return None
    # What cannot be seen is the ends of lines, and each of those is both of its characters.
    first, *lines = head.decode("latin-1").split("\r\n")
    if head.translate(None, _SHOWN) != _LINE * len(lines):
        return None
    method, slash, rest = first.partition(" /")
    path, _, version = rest.partition(" ")
    if method != "POST" or not slash or version != "HTTP/1.1":
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        plain = _plain(name)
        if not plain or not colon or plain in headers:
            return None
        headers[plain] = value.strip(" ")
    if headers.get("content-length") != str(len(body)) or "host" not in headers:
        return None
    return Whole(path=f"/{path}", headers=headers, body=body)


def begins(data: bytes) -> bool:
    """Say whether these bytes look like the beginning of such a request, the rest of which must be on its way."""
    head, end, body = data.partition(_END)
    if not end:
        return len(data) <= MAX_HEAD and data.startswith(_START[: len(data)])
    length = _LENGTH.search(head)
    return length is not None and len(body) < int(length[1]) <= MAX_BODY and not _ASKS.search(head)


@lru_cache(maxsize=256)  # callers send the same few
def _plain(name: str) -> str | None:
    """Return a header's name in lower case, unless it is none, or changes how the request is read."""
    plain = name.lower()
    return plain if _NAME.fullmatch(name) and plain not in _CHANGING else None
