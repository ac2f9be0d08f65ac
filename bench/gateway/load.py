"""
The load generator: connections that stay open, on raw sockets, in one thread, with requests made beforehand.

It costs its core a few microseconds for each request. Every answer is checked: the status is 200 and the body is, byte
for byte, the one that was read and understood before the run.
"""

import json
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final, Self

from bench.gateway.callbacks import TOAST, Callback

CONNECTIONS: Final = 64
PATIENCE_S: Final = 10.0
_OK: Final = b"HTTP/1.1 200 "


@dataclass(slots=True)
class Load:
    """
    What came of a run.

    Attributes:
        answered: Good answers.
        bad: Other answers, and connections that ended without one.
        wall_s: From the first request to the last answer.
        latencies: Of good answers (s); in an open loop from the time that was intended.
    """

    answered: int = 0
    bad: int = 0
    wall_s: float = 0.0
    latencies: list[float] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Client:
    connection: socket.socket
    since: float = 0.0
    answer: bytes = b""


class Clients:
    """Connections to one server. ``toast`` is the body that its good answers have: see `toast_of`."""

    def __init__(self, port: int, toast: bytes, *, connections: int = CONNECTIONS) -> None:
        self._port, self._toast, self._count = port, toast, connections
        self._poll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._free: deque[_Client] = deque()
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        self._closing.callback(self._poll.close)
        for _ in range(self._count):
            self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.connection.close()
        self._closing.close()

    def closed(self, requests: Sequence[bytes], *, seconds: float = 3600.0, count: int | None = None) -> Load:
        """Keep every connection busy, for so long or so many requests."""
        return self._run(islice(cycle(requests), count), time.perf_counter() + seconds, rate=None)

    def paced(self, requests: Sequence[bytes], *, rate: int, seconds: float) -> Load:
        """Send at constant times, whatever becomes of the earlier ones."""
        return self._run(islice(cycle(requests), int(rate * seconds)), float("inf"), rate=rate)

    def _run(self, todo: Iterator[bytes], until: float, *, rate: int | None) -> Load:
        load, began = Load(), time.perf_counter()
        due, request = began, next(todo, None)
        while request is not None or len(self._free) < len(self._clients):
            now = time.perf_counter()
            while request is not None and self._free and due <= now:
                self._send(self._free.popleft(), request, now if rate is None else due)
                due += 0 if rate is None else 1 / rate
                request = next(todo, None) if now < until else None
            wait_s = PATIENCE_S if request is None or not self._free else due - now
            self._receive(wait_s, load)
        load.wall_s = time.perf_counter() - began
        return load

    def _send(self, client: _Client, request: bytes, since: float) -> None:
        client.since, client.answer = since, b""
        sent = client.connection.send(request)
        assert sent == len(request), "a request is smaller than a socket's buffer"

    def _receive(self, wait_s: float, load: Load) -> None:
        # The poll itself knows milliseconds only, which would be part of every latency.
        ready, _, _ = select.select([self._poll], [], [], max(0.0, wait_s))
        if not ready and wait_s == PATIENCE_S:
            raise TimeoutError("a server leaves its callers without an answer")
        for number, _ in self._poll.poll(0) if ready else ():
            client = self._clients[number]
            try:
                piece = client.connection.recv(65536)
            except ConnectionError:
                piece = b""
            client.answer += piece
            if not piece:
                self._lost(client, load)
            elif client.answer.endswith(self._toast) and client.answer.startswith(_OK):
                load.answered += 1
                load.latencies.append(time.perf_counter() - client.since)
                self._is_free(client)
            elif is_whole(client.answer):
                load.bad += 1
                self._is_free(client)

    def _is_free(self, client: _Client) -> None:
        client.since = 0.0
        self._free.append(client)

    def _lost(self, client: _Client, load: Load) -> None:
        if client.since:
            load.bad += 1
        else:
            self._free.remove(client)
        del self._clients[client.connection.fileno()]
        client.connection.close()
        self._connect()

    def _connect(self) -> None:
        client = _Client(connect(self._port))
        self._clients[client.connection.fileno()] = client
        self._poll.register(client.connection, select.EPOLLIN)
        self._free.append(client)


def connect(port: int) -> socket.socket:
    """Return a connection to a server of this machine."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(port: int, request: bytes) -> bytes:
    """Return the whole answer to one request."""
    with connect(port) as connection:
        connection.sendall(request)
        answer = b""
        while not is_whole(answer) and (piece := connection.recv(65536)):
            answer += piece
    return answer


def is_whole(answer: bytes) -> bool:
    """Say whether an answer has all the bytes that it announces."""
    head, end, body = answer.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0].split(b":")[1] if lengths else 0)


def toast_of(port: int, callback: Callback) -> bytes:
    """
    Return the body of a good answer, having read it.

    Raises:
        AssertionError: The server does not answer a good request with the toast, or a wrongly signed one with it.
    """
    now = int(time.time())
    head, _, body = ask(port, callback.request(timestamp=now)).partition(b"\r\n\r\n")
    assert head.startswith(_OK), head[:200]
    assert json.loads(body) == TOAST, body
    refused = ask(port, callback.request(timestamp=now, signature="0" * 64))
    assert body not in refused, "it answers whom it should not let in"
    return body
