"""
The way out to the platform: straight, or through the proxy that the operator named.

Only `CARDWIRE_PROXY` names one; what other programs read (``HTTPS_PROXY`` and its like) is not looked at, so that a
variable set for something else does not move our traffic. An address of this machine itself (a simulator's) is always
reached straight, because a proxy would look for it on its own machine.

To a TLS address the proxy opens a tunnel (``CONNECT``) and sees nothing but the host; a plain one it is asked for by
its whole address. Credentials stand in one header (basic authentication, UTF-8) and nowhere in an address, because
libraries put addresses into what they raise. What they raise holds headers too: keep only the words of `failure`.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from shared.core.secret import Secret

PROXY_AUTHENTICATION_REQUIRED: Final = 407

_TUNNELLED: Final = frozenset({"https", "wss"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    How requests to one address leave this machine. Give aiohttp all three with each request, a WebSocket's included.

    Attributes:
        proxy: For ``proxy=``; ``None``: straight.
        proxy_headers: For ``proxy_headers=``: what the proxy is told when it opens a tunnel.
        headers: To be added to ``headers=``: what it is told with each request where there is no tunnel.
        tunnel: The proxy opens a tunnel, so that every reply is the platform's own.
    """

    proxy: URL | None = None
    proxy_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tunnel: bool = True

    def refused(self, status: int) -> str | None:
        """Return why a reply is the proxy's refusal and not the platform's, in a few words; ``None`` if it is not."""
        asked = self.proxy is not None and not self.tunnel
        return _refused(status) if asked and status == PROXY_AUTHENTICATION_REQUIRED else None

    def failure(self, error: aiohttp.ClientError | OSError) -> str:
        """
        Return why there was no answer, in a few words without any address, name or header.

        Args:
            error: What aiohttp raised; best before anything of the request was sent, when it is about the way.
        """
        return type(error).__name__ if self.proxy is None else _failure(error)


def route_to(address: str, proxy: Secret | None) -> Route:
    """Return the way to an address (``https://…``, ``wss://…``, ``http://…``), given `OutboundSettings.proxy`."""
    url = URL(address)
    if proxy is None or _is_here(url.host or ""):
        return Route()
    through = URL(proxy.reveal())
    bare = URL.build(scheme=through.scheme, host=through.host or "", port=through.port)
    told = _credentials(through)
    if url.scheme in _TUNNELLED:
        return Route(proxy=bare, proxy_headers=told)
    return Route(proxy=bare, headers=told, tunnel=False)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _credentials(proxy: URL) -> Mapping[str, str]:
    if proxy.user is None:
        return {}
    return {"Proxy-Authorization": aiohttp.encode_basic_auth(proxy.user, proxy.password or "")}


def _failure(error: aiohttp.ClientError | OSError) -> str:
    match error:
        case aiohttp.ClientHttpProxyError(status=status):
            words = _refused(status)
        case aiohttp.ClientProxyConnectionError(os_error=cause):
            words = f"proxy unreachable: {type(cause).__name__}"
        case aiohttp.ClientConnectorDNSError():
            words = "proxy unreachable: no such name"
        case aiohttp.ClientConnectorCertificateError():
            words = "certificate not trusted, of the platform or of the proxy"
        case aiohttp.ClientSSLError():
            words = "no TLS, with the platform or with the proxy"
        case aiohttp.ServerTimeoutError():
            words = "no connection through the proxy in time"
        case aiohttp.ServerDisconnectedError() | OSError():
            words = "hung up, the proxy or the platform behind it"
        case aiohttp.ClientResponseError():
            words = "no HTTP, from the proxy or the platform behind it"
        case _:
            words = f"no connection through the proxy: {type(error).__name__}"
    return words


def _refused(status: int) -> str:
    return f"proxy refused: {status}"
