"""Reading ahead: while one piece is dealt with, the next one is fetched."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

_T = TypeVar("_T")


async def ahead(pieces: AsyncIterator[_T]) -> AsyncIterator[_T]:
    """Yield the same pieces, each while the one behind it is on its way: two are in memory at a time."""
    coming = asyncio.ensure_future(_next(pieces))
    try:
        while (found := await coming) is not None:
            coming = asyncio.ensure_future(_next(pieces))
            yield found[0]
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _next(pieces: AsyncIterator[_T]) -> tuple[_T] | None:
    async for piece in pieces:
        return (piece,)
    return None
