"""PostgreSQL: a pool of connections, on the event loop."""

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_T = TypeVar("_T")

CONNECT_S: Final = 5.0
ANSWER_S: Final = 10.0
"""How long one statement may take. A batch of 2,000 takes a fraction of a second."""

POOL: Final = 10
"""A worker's connections: the deciding one, the pump's few, budgets, the relay, one to look around."""

_SETTINGS: Final = {
    "application_name": "cardwire-worker",
    # Tables of this kind grow from empty to full between two ANALYZE: a plan made once would outlive its reasons.
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
    "lock_timeout": "5000",
    # A worker that freezes in a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "10000",
}

_SNAPSHOT: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class PostgresPool:
    """Connections to one database; a transaction gives way to others at every statement."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def at(cls, url: str, *, answer_s: float = ANSWER_S) -> "PostgresPool":
        """Return a pool for a URL in PostgreSQL's own form, with all its options (``?sslmode=…``)."""

        async def connect() -> Any:
            return await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=answer_s, server_settings=_SETTINGS)

        return cls(
            create_async_engine(
                "postgresql+asyncpg://",
                async_creator=connect,
                pool_size=POOL,
                max_overflow=0,
                pool_timeout=ANSWER_S,
                hide_parameters=True,
            )
        )

    def reading(self) -> "PostgresPool":
        """Return the same connections for transactions that read, as of one moment."""
        return PostgresPool(self._engine.execution_options(**_SNAPSHOT))

    async def run(self, do: Callable[[Connection], _T]) -> _T:
        """Run a transaction."""
        async with self._engine.begin() as connection:
            return await connection.run_sync(do)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def postgres_place(url: str) -> str | None:
    """Return host, port and database of a URL, for people; ``None`` if it cannot be read."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # only looking at it tells whether it is a number
    except ValueError:
        return None
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"
