"""
What several processes say on their own admin ports, told as if they were one.

All are asked at once, and none is waited for: one that is away, or hangs, is left out.

=============  =======================================================================================================
``/readyz``    yes, if any of them says so: clicks are taken in, and those that are not ready are on their way
``/healthz``   no, if any of them does not say yes: it does not become well by itself, and callers go on coming to it.
               One that has ended is not asked: it is being started again
``/metrics``   of all together, as `cardwire.cli.sums` has it
=============  =======================================================================================================
"""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import aiohttp
import msgspec

from cardwire.cli.sums import Page, Sums, read, text, together
from shared.lacks import Lack
from shared.observability.metrics import PROCESSES_UP, Metrics

ASK_S: Final = 0.8
"""How long an answer is waited for. Who asks us waits for a second, as a rule."""

_OK: Final = 200


class _NotReady(msgspec.Struct, frozen=True):
    lacks: tuple[Lack, ...]


_LACKS: Final = msgspec.json.Decoder(_NotReady)


class Asking:
    """
    Speaks for those processes that are ready.

    Args:
        metrics: Our own, shown beside theirs.
    """

    def __init__(self, session: aiohttp.ClientSession, metrics: Metrics, *, within_s: float = ASK_S) -> None:
        self._session, self._metrics = session, metrics
        self._timeout = aiohttp.ClientTimeout(total=within_s)
        self._numbers, self._urls, self._sums = itertools.count(), dict[int, str](), Sums()

    @contextmanager
    def at(self, admin_url: str) -> Iterator[None]:
        """Ask a process, too, as long as the block lasts."""
        number = next(self._numbers)
        self._urls[number] = admin_url
        self._sums.begun(number)
        try:
            yield
        finally:
            del self._urls[number]
            self._sums.ended(number)

    async def is_alive(self) -> bool:
        """Say whether a restart would not help."""
        return all(await asyncio.gather(*(self._says_yes(url, "/healthz") for url in self._urls.values())))

    async def lacks(self) -> Sequence[Lack]:
        """Say what keeps all of them from taking callbacks in: nothing, as soon as one says that it is ready."""
        asked = [asyncio.create_task(self._lacks(url)) for url in self._urls.values()]
        told: set[Lack] = set()
        try:
            for answer in asyncio.as_completed(asked):
                if not (lacks := await answer):
                    return []
                told.update(lacks)
            return sorted(told) or ["no_process"]
        finally:
            for task in asked:
                task.cancel()

    async def exposition(self) -> bytes:
        """Return the numbers of all in Prometheus' text format."""
        asked = dict(self._urls)
        answers = await asyncio.gather(*(self._page(url) for url in asked.values()))
        shown = {number: page for number, page in zip(asked, answers, strict=True) if page is not None}
        self._metrics.set(PROCESSES_UP, len(shown))
        return text(together([self._sums.page(shown), read(self._metrics.exposition().decode())]))

    async def _says_yes(self, url: str, path: str) -> bool:
        return await self._get(url, path) is not None

    async def _page(self, url: str) -> Page | None:
        answer = await self._get(url, "/metrics")
        try:
            return None if answer is None else read(answer)
        except ValueError:  # It ended, and another program has got its port.
            return None

    async def _lacks(self, url: str) -> Sequence[Lack]:
        """Return what a process says that it lacks; one that says nothing is none."""
        try:
            async with self._session.get(f"{url}/readyz", timeout=self._timeout) as response:
                if response.status == _OK:
                    return []
                return _LACKS.decode(await response.read()).lacks
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError):
            return ["no_process"]

    async def _get(self, url: str, path: str) -> str | None:
        """Return a good answer, if there is one in time."""
        try:
            async with self._session.get(url + path, timeout=self._timeout) as response:
                return await response.text() if response.status == _OK else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
