"""
Long connections as the platform keeps them: addresses are given, connections counted, callbacks handed to one of them.

Nothing here knows HTTP or WebSocket. Sources: docs/reference/platform.md, "The long connection" and "Frames".
"""

import asyncio
import base64
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Literal

from shared.feishu.connection import (
    DEFAULTS,
    MAX_CONNECTIONS,
    NO_CREDENTIAL,
    OK,
    TOO_MANY_CONNECTIONS,
    WRONG_CREDENTIAL,
    Parameters,
    written,
)
from shared.feishu.frames import DATA, Frame
from simulator.answers import CALL_FAILED, NO_CALLBACK_URL, STATUS_NOT_200, Answered, Heard, NotAnswered
from simulator.clock import PlatformClock
from simulator.names import Names
from simulator.tokens import App
from simulator.wire_json import any_json

SERVICE: Final = 33554678
SOCKET_PATH: Final = "/ws/v2"
FRAGMENT_BYTES: Final = 256 * 1024
"""Where payloads are cut; at which size the platform does so is not documented."""

FORBIDDEN: Final = 403
"""Store apps have no long connections."""

Ending = Literal["close", "abort"]
"""How the platform ends a connection: with a goodbye, or as a broken line does."""

_TICKETS: Final = 1000


@dataclass(slots=True, kw_only=True)
class Asked:
    """
    What the server asks of its clients, and how it behaves; for tests to change.

    Attributes:
        limit: Connections that the app may have.
        fragment_bytes: Larger payloads come in fragments.
        has_pongs: Pings are answered.
        pong_delay_s: So much later.
    """

    parameters: Parameters = DEFAULTS
    limit: int = MAX_CONNECTIONS
    fragment_bytes: int = FRAGMENT_BYTES
    has_pongs: bool = True
    pong_delay_s: float = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class Client:
    """
    One open connection.

    Attributes:
        send: Writes a frame; raises ``ConnectionError``.
        end: Ends it: see `Ending`.
        delivered: Payloads that it was given.
    """

    device_id: str
    opened_at_ms: int
    send: Callable[[Frame], Awaitable[None]]
    end: Callable[[Ending], Awaitable[None]]
    pings: int = 0
    delivered: int = 0
    waiting: dict[str, deque["asyncio.Future[Heard]"]] = field(default_factory=dict)

    async def ask(self, frames: list[Frame]) -> Heard:
        """Hand over a payload, and wait for its answer."""
        message_id = frames[0].message_id
        answered: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(message_id, deque()).append(answered)
        self.delivered += 1
        try:
            for frame in frames:
                await self.send(frame)
            return await answered
        except ConnectionError:
            return NotAnswered(code=CALL_FAILED)
        finally:
            self._forget(message_id, answered)

    def take(self, answer: Frame) -> None:
        """Take a data frame in: the answer to the oldest payload of this name that has none."""
        for waiting in self.waiting.get(answer.message_id, ()):
            if not waiting.done():
                waiting.set_result(_heard(answer.payload or b""))
                return

    def close(self) -> None:
        """Let nobody wait for it any more."""
        for waiting in (each for queue in self.waiting.values() for each in queue):
            if not waiting.done():
                waiting.set_result(NotAnswered(code=CALL_FAILED))

    def _forget(self, message_id: str, answered: "asyncio.Future[Heard]") -> None:
        queue = self.waiting[message_id]
        queue.remove(answered)
        if not queue:
            del self.waiting[message_id]


class Connections:
    """
    The long connections of one app.

    Attributes:
        asked: How they are kept; assign to its members to change that.
    """

    def __init__(self, app: App, clock: PlatformClock, names: Names) -> None:
        self.asked = Asked()
        self._app, self._clock, self._names = app, clock, names
        self._tickets: dict[str, str] = {}
        self._clients: dict[str, Client] = {}
        self._seq = count(1)

    @property
    def clients(self) -> tuple[Client, ...]:
        """Those that are open, oldest first."""
        return tuple(self._clients.values())

    def endpoint(self, body: bytes, *, host: str) -> dict[str, Any]:
        """
        Return the answer to a client that asks for an address.

        Args:
            host: Where it asked: the address is on the same one.
        """
        code = self._refusal(body)
        if code != OK:
            return {"code": code, "msg": "no long connection", "data": {}}
        device_id, ticket = self._names.device(), self._names.ticket()
        self._tickets[ticket] = device_id
        if len(self._tickets) > _TICKETS:
            del self._tickets[next(iter(self._tickets))]
        query = f"fpid=493&aid=552564&device_id={device_id}&access_key={ticket}&service_id={SERVICE}&ticket={ticket}"
        data = {"URL": f"ws://{host}{SOCKET_PATH}?{query}", "ClientConfig": written(self.asked.parameters)}
        return {"code": OK, "msg": "", "data": data}

    def admit(self, ticket: str) -> str | None:
        """Return the connection's name for a ticket, which is good once; ``None`` for another."""
        return self._tickets.pop(ticket, None)

    @property
    def is_full(self) -> bool:
        """Whether one more is one too many."""
        return len(self._clients) >= self.asked.limit

    def open(self, client: Client) -> None:
        """Let callbacks go to it, too."""
        self._clients[client.device_id] = client

    def close(self, client: Client) -> None:
        """Let callbacks go to others."""
        self._clients.pop(client.device_id, None)
        client.close()

    async def deliver(self, payload: bytes, *, message_id: str) -> Heard:
        """Hand a callback to one of the connections, at random, and wait for its answer, for good if need be."""
        if not self._clients:
            return NotAnswered(code=NO_CALLBACK_URL)
        client = self._names.one_of(self.clients)
        return await client.ask(list(self._frames(payload, message_id)))

    def pong(self) -> bytes:
        """Return the payload of a pong."""
        return json.dumps(written(self.asked.parameters), separators=(",", ":")).encode()

    def _refusal(self, body: bytes) -> int:
        try:
            content = any_json(body)
        except ValueError:
            content = None
        if not isinstance(content, dict) or not content.get("AppID") or not content.get("AppSecret"):
            return NO_CREDENTIAL
        if (content["AppID"], content["AppSecret"]) != (self._app.app_id, self._app.app_secret):
            return WRONG_CREDENTIAL
        if self._app.is_store:
            return FORBIDDEN
        return TOO_MANY_CONNECTIONS if self.is_full else OK

    def _frames(self, payload: bytes, message_id: str) -> Iterator[Frame]:
        size = self.asked.fragment_bytes
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        for place, piece in enumerate(pieces):
            headers = {
                "type": "event",
                "message_id": message_id,
                "sum": str(len(pieces)),
                "seq": str(place),
                "trace_id": message_id,
                "timestamp": str(self._clock.now()),
            }
            yield Frame(
                seq_id=next(self._seq),
                log_id=0,
                service=SERVICE,
                method=DATA,
                headers=tuple(headers.items()),
                payload=piece,
                log_id_new=self._names.log(self._clock.now()),
            )


def _heard(payload: bytes) -> Heard:
    """Return the answer that the payload of a frame holds, as if it had come by HTTP."""
    try:
        content = any_json(payload)
        code, data = content["code"], content.get("data")
        body = base64.b64decode(data, validate=True) if data is not None else b"{}"
    except (ValueError, TypeError, KeyError, AttributeError):
        return NotAnswered(code=STATUS_NOT_200)
    return Answered(status=code, body=body) if isinstance(code, int) else NotAnswered(code=STATUS_NOT_200)
