"""Programs that send requests: the file that knows them, and how they post."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp

from shared.core.effects import REQUESTABLE

TOKEN: Final = "tok-of-billing-0123456789abcdef"
CALLER: Final = "billing"


def table(
    *, apps: Sequence[str] = ("cli_a1b2c3d4e5f60718",), effects: Sequence[str] = REQUESTABLE, token: str = TOKEN
) -> Mapping[str, Sequence[str]]:
    """Return the table of a caller that may ask for everything, unless told otherwise."""
    return {"apps": apps, "effects": effects, "token_sha256": [sha256(token.encode()).hexdigest()]}


def write_callers(path: Path, callers: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """Write a file of callers, ``billing`` alone unless told otherwise, and return where it is."""
    lines = [
        line
        for name, fields in (callers or {CALLER: table()}).items()
        for line in (f"[callers.{name}]", *(f"{field} = {json.dumps(given)}" for field, given in fields.items()))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def request(*effects: Mapping[str, Any], request_id: str = "r1", app_id: str = "cli_a1b2c3d4e5f60718") -> Any:
    """Return a body."""
    return {"request_id": request_id, "app_id": app_id, "effects": list(effects)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A caller with its token."""

    url: str
    client: aiohttp.ClientSession
    token: str | None = TOKEN

    async def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        """Post a body, JSON unless it is bytes; return status and answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        known = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.client.post(f"{self.url}/v1/requests", data=data, headers={**known, **headers}) as response:
            return response.status, await response.json()
