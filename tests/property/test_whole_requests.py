"""Whatever is read at one go is read by the library alike; what could be read otherwise is left to it."""

import asyncio
from typing import Any

import pytest
from aiohttp import HttpVersion11, web
from aiohttp.http import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from gateway.listening.whole import begins, whole

USUAL = (
    b"POST /webhook/card HTTP/1.1\r\nHost: x\r\nContent-Type: application/json;charset=utf-8\r\n"
    b"X-Lark-Signature: 0123456789abcdef\r\nX-Request-Id:a\r\nContent-Length: 15\r\n\r\n"
    b'{"encrypt":"a"}'
)
"""As the platform sends it."""

PIECES = [
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b":",
        b",",
        b"\0",
        b"\x7f",
        b"\xc3\xa9",
        b"%2F",
        b"?a=b",
        b"#",
        b"/",
    ),
    *(
        b"HTTP/1.0",
        b"HTTP/1.1",
        b"GET",
        b"post",
        b"Host: y",
        b"Content-Length: 3",
        b"content-length: 15",
        b"+15",
        b"015",
    ),
    *(b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close", b"Connection: Upgrade"),
    *(
        b"Upgrade: websocket",
        b"Content-Encoding: gzip",
        b"Sec-WebSocket-Key1: a",
        b"http://x/webhook/card",
        b"0",
        b"a b",
    ),
]
"""What is put into it, at any place."""


def _changed(changes: list[tuple[int, int, bytes]]) -> bytes:
    data = USUAL
    for at, length, piece in changes:
        begin = at % (len(data) + 1)
        data = data[:begin] + piece + data[begin + length :]
    return data


CHANGES = st.lists(
    st.tuples(
        st.integers(0, len(USUAL)),
        st.integers(0, 20),
        st.sampled_from([b"", *PIECES, *(b"\r\n" + piece + b"\r\n" for piece in PIECES)]) | st.binary(max_size=3),
    ),
    max_size=3,
)


@given(CHANGES)
def test_the_library_would_read_it_alike(changes: list[tuple[int, int, bytes]]) -> None:
    """Method, path, headers and body; nothing is left over, and the connection stays open."""
    data = _changed(changes)
    request = whole(data)
    if request is None:
        return
    ((message, body),), rest = _by_the_library(data)
    assert ("POST", request.path, HttpVersion11) == (message.method, message.path, message.version)
    assert dict(request.headers) == {name.lower(): value for name, value in message.headers.items()}
    assert len(request.headers) == len(message.headers)
    assert (request.body, b"") == (body, rest)
    assert [False] * 3 == [message.should_close, message.upgrade, message.chunked]
    assert message.compression is None


def _by_the_library(data: bytes) -> tuple[list[tuple[Any, bytes]], bytes]:
    async def read() -> tuple[list[tuple[Any, bytes]], bytes]:
        protocol: Any = web.RequestHandler(web.Server(_never), loop=asyncio.get_running_loop())
        parser = HttpRequestParser(protocol, asyncio.get_running_loop(), 2**16, auto_decompress=False)
        messages, _, rest = parser.feed_data(data)
        assert all(body.is_eof() for _, body in messages)
        return [(message, body.read_nowait()) for message, body in messages], rest

    return asyncio.run(read())


async def _never(_request: web.BaseRequest) -> web.StreamResponse:
    raise AssertionError


@given(CHANGES, st.integers(0, 2**9))
def test_what_waits_for_its_rest_is_a_beginning(changes: list[tuple[int, int, bytes]], cut: int) -> None:
    """Every cut of a request that is read waits for more, and nothing that is there as a whole does."""
    data = _changed(changes)
    assert not (whole(data) and begins(data))
    if whole(data):
        assert begins(data[: cut % len(data)])


def test_the_usual_one_is_read() -> None:
    """Or the others would prove nothing."""
    request = whole(USUAL)
    assert request is not None
    assert ("/webhook/card", b'{"encrypt":"a"}') == (request.path, request.body)
    assert "0123456789abcdef" == request.headers["x-lark-signature"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(USUAL[:-1], id="not all of it"),
        pytest.param(USUAL + b"P", id="the beginning of the next one"),
        pytest.param(USUAL * 2, id="two of them"),
        pytest.param(USUAL.replace(b"Host: x", b"Host: x\r\nHost: x"), id="a header twice"),
        pytest.param(USUAL.replace(b"Host: x\r\n", b""), id="no host"),
        pytest.param(USUAL.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"), id="a question before the body"),
        pytest.param(USUAL.replace(b"Host: x", b"Host: x\r\nConnection: close"), id="the last one"),
        pytest.param(USUAL.replace(b"Host: x", b"Host: x\r\n folded"), id="a folded line"),
        pytest.param(USUAL.replace(b"Host: x", b"Host: x\nA: b"), id="half an end of a line"),
        pytest.param(USUAL.replace(b"Host: x", b"Host : x"), id="a space before the colon"),
        pytest.param(USUAL.replace(b"Host: x", b"Host: \xc3\xa9"), id="other letters"),
        pytest.param(USUAL.replace(b"POST", b"GET"), id="another method"),
        pytest.param(USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"), id="an old client"),
        pytest.param(USUAL.replace(b"Content-Length: 15", b"Content-Length: +15"), id="a length with a sign"),
        pytest.param(USUAL.replace(b"Content-Length: 15", b"Transfer-Encoding: chunked"), id="in pieces"),
    ],
)
def test_anything_else_is_left_to_the_library(data: bytes) -> None:
    """Which knows what to do."""
    assert whole(data) is None
