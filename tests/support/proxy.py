"""An outbound proxy on loopback: tunnels and plain requests, to hosts that only it knows, counted."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(slots=True)
class OutboundProxy:
    """
    What the proxy knows and what went through it.

    Attributes:
        hosts: Where ``host:port`` really is; for every other one the answer is 502.
        credentials: ``user:password`` that it asks for, or ``None``.
        answer: Bytes that it says to everybody instead of its work; ``b""``: it hangs up.
        tunnels: What tunnels were opened to, `requests` the plain requests that were passed on, in order.
    """

    hosts: Mapping[str, Address]
    credentials: str | None = None
    answer: bytes | None = None
    tunnels: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self._serve(reader, writer)
            finally:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, whole, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        if (refusal := self._refusal(head)) is not None:
            writer.write(refusal)
            await writer.drain()
        elif method == "CONNECT":
            await self._tunnel(whole, reader, writer)
        else:
            await self._pass_on(head, method, whole, reader, writer)

    def _refusal(self, head: bytes) -> bytes | None:
        if self.answer is not None:
            return self.answer
        if self.credentials is None:
            return None
        expected = b"proxy-authorization: basic " + base64.b64encode(self.credentials.encode()).lower()
        return None if expected in head.lower() else said(407, "Proxy-Authenticate: Basic realm=proxy\r\n")

    async def _tunnel(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if host not in self.hosts:
            writer.write(said(502))
            return
        self.tunnels.append(host)
        there, back = await asyncio.open_connection(*self.hosts[host])
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.close()

    async def _pass_on(
        self, head: bytes, method: str, whole: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, path = whole.removeprefix("http://").partition("/")
        address = self.hosts.get(host if ":" in host else f"{host}:80")
        if address is None:
            writer.write(said(502))
            return
        self.requests.append(f"{method} {whole}")
        there, back = await asyncio.open_connection(*address)
        lines = [line for line in head.split(b"\r\n")[1:-2] if not line.lower().startswith((b"proxy-", b"connection:"))]
        back.write(b"\r\n".join([f"{method} /{path} HTTP/1.1".encode(), *lines, b"Connection: close", b"", b""]))
        sending = asyncio.create_task(_copy(reader, back))
        try:
            await _copy(there, writer)
        finally:
            sending.cancel()
            back.close()


@asynccontextmanager
async def outbound_proxy(
    hosts: Mapping[str, Address],
    *,
    credentials: str | None = None,
    answer: bytes | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[OutboundProxy]:
    """Serve a proxy; with ``tls`` it is itself spoken to over TLS."""
    proxy = OutboundProxy(hosts=hosts, credentials=credentials, answer=answer)
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def said(status: int, headers: str = "") -> bytes:
    """Return a proxy's own answer."""
    return f"HTTP/1.1 {status} no\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
