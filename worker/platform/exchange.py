"""
One request and its reply, over HTTP. Redirects are not followed.

What leaves this module names no token, secret or body: failures carry a few words of ours, and the library's own
exceptions, whose representations hold request headers, are not even kept as causes.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

import aiohttp
import structlog
from yarl import URL

from shared.core.secret import Secret
from shared.feishu.openapi import ApiReply, ApiRequest
from shared.outbound import route_to
from worker.platform.tokens import Unreachable

REPLY_BYTES: Final = 1024 * 1024
"""More than any reply of the platform's that we ask for; of a longer one nothing is read but its status."""

log = structlog.get_logger("cardwire.worker")


class _SentTwice(aiohttp.ClientError):
    """The library repeats a GET or PUT by itself when a used connection breaks; budgets would not know of it."""


@dataclass(slots=True)
class Progress:
    """Whether anything of the call may have left this machine."""

    sent: bool = False


class Way:
    """
    The way to one address of the platform.

    Args:
        base_url: Scheme and host, as in ``https://open.feishu.cn``.
        proxy: The address through which it is reached, with its credentials: see `shared.outbound`.
    """

    def __init__(self, base_url: str, proxy: Secret | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._route = route_to(base_url, proxy)
        self._lost: str | None = None

    async def exchange(
        self, session: aiohttp.ClientSession, request: ApiRequest, progress: Progress, token: str | None
    ) -> ApiReply:
        """
        Return the reply to one request, whatever its status.

        Args:
            session: Made with `noting_sent`.
            progress: Of this request alone, when it begins.
            token: An access token; ``None`` to ask for one.

        Raises:
            Unreachable: There was none.
        """
        headers = dict(self._route.headers)
        if request.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with session.request(
                request.method,
                URL(self._base_url + request.path, encoded=True).update_query(request.query),
                data=request.body,
                headers=headers,
                proxy=self._route.proxy,
                proxy_headers=self._route.proxy_headers,
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                if refused := self._route.refused(response.status):
                    raise self._nothing_sent(refused)
                self._lost = None
                names = {name.lower(): text for name, text in response.headers.items()}
                body = await _bounded(response)
                return ApiReply(status=response.status, headers=names, body=body or b"", too_long=body is None)
        except (aiohttp.ClientError, OSError) as error:
            unreachable = (
                Unreachable(type(error).__name__, sent=True)
                if progress.sent
                else self._nothing_sent(self._route.failure(error))
            )
        raise unreachable

    def _nothing_sent(self, reason: str) -> Unreachable:
        # One line when the way is lost or lost otherwise, not one for every call.
        if reason != self._lost:
            log.warning("platform_unreachable", reason=reason, proxy=self._route.proxy is not None)
        self._lost = reason
        return Unreachable(reason, sent=False)


def noting_sent() -> aiohttp.TraceConfig:
    """Return what lets a session note in a request's `Progress` that it begins to leave."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    return trace


async def _note_sent(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    # Told before the first byte is written, so what is not noted has not left.
    progress: Progress = context.trace_request_ctx
    if progress.sent:
        raise _SentTwice
    progress.sent = True


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body; ``None``: it is too long."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > REPLY_BYTES:
            response.close()
            return None
    return bytes(body)
