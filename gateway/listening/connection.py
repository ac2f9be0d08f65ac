"""
A connection: the library's, with a short way for requests that are there as a whole.

Theory of operation. What arrives is looked at by `gateway.listening.whole`. A request that is there as a whole is
answered here, one at a time; what its sender sends meanwhile waits. The pieces into which a network cuts a request
arrive together, so a beginning waits for its rest, for some milliseconds. With anything else the connection is left to
the library, for good: nobody knows any more where its parser stands. Until then the library takes it for a connection
on which nobody has said anything yet.
"""

import asyncio
from collections.abc import Coroutine
from typing import Final, Protocol

import structlog
from aiohttp import web

from gateway.listening.whole import Whole, begins, whole

IDLE_S: Final = 3630.0
"""How long a connection may stay open on which nothing is said any more: as the library has it for its own."""

REST_S: Final = 0.03
"""How long a beginning waits for its rest: longer than networks take, and nothing beside the time that a body has."""

LINGER_S: Final = 0.5
"""How long a body that is not wanted any more is read and dropped, so that its sender gets to see our refusal."""

log = structlog.get_logger("cardwire.gateway")


class Owner(Protocol):
    """Who has connections."""

    def answering(self, request: Whole, connection: "Connection") -> Coroutine[None, None, None] | None:
        """Return what answers a request and calls `Connection.is_answered` then; ``None``: the library shall."""

    def unreadable(self, status: int) -> web.StreamResponse:
        """Return what is told to whoever sends what is not HTTP, or whose request broke."""


class Connection(web.RequestHandler):
    """A connection of one caller. Refuses what is not HTTP in its owner's words: the library's page has its name."""

    def __init__(self, owner: Owner, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # for none, and typed as if there had to be one
            auto_decompress=False,
            lingering_time=LINGER_S,
        )
        self._owner = owner
        self._is_left = False
        self._task: asyncio.Task[None] | None = None
        self._meanwhile = self._begun = b""
        self._resting: asyncio.TimerHandle | None = None
        self._spoke_at = 0.0
        self._idle: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Answer a request, or leave it to the library."""
        if self._is_left:
            super().data_received(data)
        elif self._task is not None:
            self._meanwhile += data
            if self.transport is not None:
                self.transport.pause_reading()
        elif (answering := self._answering(data := self._begun + data)) is not None:
            self._forget_beginning()
            self._task = asyncio.get_running_loop().create_task(answering)
        elif begins(data) and not self.writing_paused:
            self._begun = data
            if self._resting is None:
                self._resting = asyncio.get_running_loop().call_later(REST_S, self._leave_beginning)
        else:
            self._leave()
            super().data_received(data)

    def write(self, answer: bytes) -> bool:
        """Write an answer to its last byte, and say whether there was still somebody to write to."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        transport.write(answer)
        return not transport.is_closing()

    def is_answered(self, *, stays: bool) -> None:
        """Let the next request follow, or nothing more."""
        self._task = None
        if not stays:
            self.force_close()
        elif self._meanwhile and self.transport is not None:
            data, self._meanwhile = self._meanwhile, b""
            self.transport.resume_reading()
            self.data_received(data)

    def eof_received(self) -> None:
        """Let the library tell of a beginning that stays one."""
        if self._begun:
            self._leave_beginning()
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._leave()
        super().connection_lost(exc)

    def close(self) -> None:
        """Answer what is under way, and nothing else."""
        self._leave()
        super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """End it, within so long once what is under way is answered."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout)
        await super().shutdown(timeout)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- quotes what was sent
    ) -> web.StreamResponse:
        """Return the answer to a request that cannot be read, or whose handling broke."""
        log.info("request_unreadable", status=status, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("half of another answer is written")
        return self._owner.unreadable(status)

    def _answering(self, data: bytes) -> Coroutine[None, None, None] | None:
        # Whoever does not read what he is told is left to the library, too: it knows how to wait for him.
        request = None if self.writing_paused else whole(data)
        answering = None if request is None else self._owner.answering(request, self)
        if answering is not None:
            loop = asyncio.get_running_loop()
            self._spoke_at = loop.time()
            if self._idle is None:
                self.keep_alive(True)  # noqa: FBT003 -- the library's; ends its own clock, by which nothing was said
                self._idle = loop.call_later(IDLE_S, self._look)
        return answering

    def _look(self) -> None:
        """End it if nothing was said for long."""
        loop = asyncio.get_running_loop()
        left_s = self._spoke_at + IDLE_S - loop.time()
        if left_s <= 0 and self._task is None:
            self.force_close()
        else:
            self._idle = loop.call_later(max(1.0, left_s), self._look)

    def _leave_beginning(self) -> None:
        data = self._begun
        self._leave()
        super().data_received(data)

    def _forget_beginning(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._begun, self._resting = b"", None

    def _leave(self) -> None:
        self._is_left = True
        self._forget_beginning()
        if self._idle is not None:
            self._idle.cancel()
