"""A platform on loopback that answers what it is told to: real sockets, no rules of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN_PATH = "/open-apis/auth/v3/tenant_access_token/internal"

NONE: Mapping[str, str] = {}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that arrived. `token` is what stood behind ``Bearer``."""

    method: str
    path: str
    token: str | None
    body: Any


@dataclass(slots=True)
class ScriptedPlatform:
    """
    Answers calls and token requests from two scripts; the last answer of each goes on for ever.

    Attributes:
        calls: What arrived, token requests not among it; `token_calls` are these.
    """

    answers: Sequence[Answer]
    tokens: Sequence[Answer]
    calls: list[Call] = field(default_factory=list)
    token_calls: list[Call] = field(default_factory=list)
    url: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for calls until this is so."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note the call and give the answer whose turn it is."""
        is_token = request.path == TOKEN_PATH
        seen, script = (self.token_calls, self.tokens) if is_token else (self.calls, self.answers)
        text = await request.text()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or None
        body = json.loads(text) if text else None
        seen.append(Call(method=request.method, path=request.path_qs, token=token, body=body))
        self._news.set()
        return await script[min(len(seen), len(script)) - 1](request)


@asynccontextmanager
async def scripted(*answers: Answer, tokens: Sequence[Answer] | None = None) -> AsyncIterator[ScriptedPlatform]:
    """Serve these answers; by default the token requests are granted ``t-1``, for two hours."""
    platform = ScriptedPlatform(answers=answers or (ok(),), tokens=tokens or (grant("t-1"),))
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", platform.handle)
    async with TestServer(application, host="127.0.0.1") as server:
        platform.url = str(server.make_url("")).rstrip("/")
        yield platform


def ok(data: dict[str, Any] | None = None, *, headers: Mapping[str, str] = NONE) -> Answer:
    """Answer that it was done."""
    return reply({"code": 0, "msg": "ok", "data": data or {}}, headers=headers)


def refuse(code: int, *, status: int = 400, headers: Mapping[str, str] = NONE) -> Answer:
    """Answer with an error code."""
    return reply({"code": code, "msg": "no: s-secret t-1"}, status=status, headers=headers)


def grant(token: str, *, expire: int = 7200) -> Answer:
    """Answer a token request."""
    return reply({"code": 0, "msg": "ok", "tenant_access_token": token, "expire": expire})


def reply(content: Any, *, status: int = 200, headers: Mapping[str, str] = NONE) -> Answer:
    """Answer with JSON."""
    return raw(json.dumps(content).encode(), status=status, headers={"Content-Type": "application/json", **headers})


def raw(body: bytes, *, status: int = 200, headers: Mapping[str, str] = NONE) -> Answer:
    """Answer with any bytes."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without a word, having read the call."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def hang_up_midway(request: web.Request) -> web.StreamResponse:
    """Begin an answer of a thousand bytes, and close the connection after a few."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"code":0,')
    if request.transport is not None:
        request.transport.close()
    return response


async def silence(_request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    """Answer with more and more."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b'{"code":0}' + b" " * 65_536)
