"""The simulator, as the load client and the collector see it: its control interface."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import orjson

ANSWER_S: Final = 60.0
"""A click's own time-out is three seconds; the rest is for a busy machine."""

PEOPLE: Final = 150
"""Who may wait for answers at once, each with a connection."""

KEEP_S: Final = 60.0
PAGE: Final = 1_000


class Platform:
    """A simulator's ``/_sim/`` calls. All raise `aiohttp.ClientError` when it is away or refuses."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url}/_sim"

    async def post(self, call: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make something happen and return what is answered."""
        async with self._session.post(f"{self._url}/{call}", data=orjson.dumps(body)) as response:
            response.raise_for_status()
            answer: dict[str, Any] = orjson.loads(await response.read())
            return answer

    async def get(self, call: str, **query: str | int) -> Any:
        """Return what happened."""
        async with self._session.get(f"{self._url}/{call}", params=query) as response:
            response.raise_for_status()
            return orjson.loads(await response.read())

    async def pages(self, call: str) -> list[dict[str, Any]]:
        """Return a whole trail of numbered things."""
        found: list[dict[str, Any]] = []
        while page := await self.get(call, after=found[-1]["n"] if found else 0, limit=PAGE):
            found += page
        return found


def session() -> aiohttp.ClientSession:
    """
    Return a session whose connections are many and live long.

    Not one for each click: a server on uvloop accepts one connection in each turn of its loop, so on a busy machine
    new ones would wait longer for being accepted than for their answers.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=PEOPLE, keepalive_timeout=KEEP_S),
        timeout=aiohttp.ClientTimeout(total=None, sock_read=ANSWER_S),
    )
