"""
How a long connection is opened: an address is asked for, then a WebSocket is opened to it, within one deadline.

The address holds a ticket and the question the app's secret: neither leaves this module, and the library's own
exceptions, whose representations hold both, are not even kept as causes.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import Final, assert_never

import aiohttp
from yarl import URL

from shared.core.errors import CardwireError, ConfigError
from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.feishu.connection import (
    MAX_CONNECTIONS,
    PATH,
    Endpoint,
    Parameters,
    Refusal,
    endpoint_request,
    read_endpoint,
    read_handshake,
)
from shared.outbound import Route, route_to

DIAL_S: Final = 10.0
"""For address and WebSocket together."""

CLOSE_S: Final = 1.0
"""How long the other side may take to say goodbye."""

MAX_FRAME: Final = 1024 * 1024
"""Bytes of one WebSocket message; the platform's own clients take no longer ones either."""

REPLY_BYTES: Final = 64 * 1024

_HEADERS: Final = {"Content-Type": "application/json", "locale": "zh", "User-Agent": "cardwire"}


class NotConnected(CardwireError):
    """There is no connection; the text says why in a few words, and trying again may help."""


class ConnectionRefused(ConfigError):
    """There is no connection until a setting or the app changes; the text is the line for its operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """An open WebSocket and what its server asks for."""

    socket: aiohttp.ClientWebSocketResponse
    service: int
    parameters: Parameters


class Dialer:
    """
    Opens connections of one app.

    Args:
        domain: Where the OpenAPI is, as in ``https://open.feishu.cn``.
        app_secret: The app's; may be changed.
        proxy: The way out, if there is but one: see `shared.outbound`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        domain: str,
        app_id: AppId,
        app_secret: Secret,
        proxy: Secret | None = None,
        within_s: float = DIAL_S,
    ) -> None:
        self._session, self._domain, self._within_s = session, domain.rstrip("/"), within_s
        self._app_id, self.app_secret, self._proxy = app_id, app_secret, proxy

    async def dial(self) -> Dialled:
        """
        Open one connection.

        Raises:
            NotConnected: Not now.
            ConnectionRefused: Not before an operator has changed something.
        """
        try:
            async with asyncio.timeout(self._within_s):
                endpoint = await self._ask()
                socket = await self._open(endpoint)
        except TimeoutError:
            raise NotConnected(f"no answer within {self._within_s:g} s") from None
        return Dialled(socket=socket, service=endpoint.service, parameters=endpoint.parameters)

    async def _ask(self) -> Endpoint:
        route = route_to(self._domain, self._proxy)
        try:
            async with self._session.post(
                URL(self._domain + PATH),
                data=endpoint_request(self._app_id, self.app_secret.reveal()),
                headers={**_HEADERS, **route.headers},
                proxy=route.proxy,
                proxy_headers=route.proxy_headers,
                allow_redirects=False,
            ) as response:
                if refused := route.refused(response.status):
                    raise NotConnected(refused)
                status, body = response.status, await _bounded(response)
        except (aiohttp.ClientError, OSError) as error:
            raise NotConnected(f"the platform {_why(route, error)}") from None
        match read_endpoint(status, body, is_secure=self._domain.startswith("https:")):
            case Endpoint() as endpoint:
                return endpoint
            case Refusal() as refusal:
                raise _refused(refusal)
            case _ as unreachable:
                assert_never(unreachable)

    async def _open(self, endpoint: Endpoint) -> aiohttp.ClientWebSocketResponse:
        route = route_to(endpoint.url, self._proxy)
        try:
            return await self._session.ws_connect(
                URL(endpoint.url, encoded=True),
                headers=route.headers,
                proxy=route.proxy,
                proxy_headers=route.proxy_headers,
                max_msg_size=MAX_FRAME,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            headers = {name.lower(): text for name, text in (error.headers or {}).items()}
            refusal = read_handshake(headers, error.status)
        except (aiohttp.ClientError, OSError) as error:
            raise NotConnected(f"the address that the platform gave {_why(route, error)}") from None
        raise _refused(refusal)


def _why(route: Route, error: aiohttp.ClientError | OSError) -> str:
    """Return why there was no answer, in words without any address."""
    match error:
        case aiohttp.ClientConnectorDNSError() if route.proxy is None:
            return "cannot be reached (no such name)"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))) if route.proxy is None and number > 0:
            return f"cannot be reached ({os.strerror(number).lower()})"
        case _:
            return f"cannot be reached ({route.failure(error)})"


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > REPLY_BYTES:
            response.close()
            raise NotConnected("an answer that is too long")
    return bytes(body)


def _refused(refusal: Refusal) -> NotConnected | ConnectionRefused:
    told = "an answer that makes no sense" if refusal.code is None else f"code {refusal.code}"
    start = f"the platform refused the long connection ({told}): expected"
    match refusal.reason:
        case None:
            return NotConnected(told)
        case "credentials":
            return ConnectionRefused(
                f"LARK_APP_SECRET: {start} id and secret of one released app, as the developer console shows them, for "
                "example LARK_APP_SECRET=s-from-the-console"
            )
        case "too_many":
            return ConnectionRefused(
                f"LARK_DELIVERY: {start} fewer than {MAX_CONNECTIONS} connections of the app when one more is opened; "
                "end some, or use the webhook: LARK_DELIVERY=webhook"
            )
        case "not_allowed":
            return ConnectionRefused(
                f"LARK_DELIVERY: {start} a custom app that may use one (store apps may not); else use the webhook: "
                "LARK_DELIVERY=webhook"
            )
        case _ as unreachable:
            assert_never(unreachable)
