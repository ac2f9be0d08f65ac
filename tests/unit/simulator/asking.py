"""A client of the control interface, as scripts have one."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp

from simulator.settings import SimulatorSettings
from tests.unit.simulator.world import card

Requesting = AbstractAsyncContextManager[aiohttp.ClientResponse]


class Asking:
    """A client of the control interface."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def post(self, name: str, body: Any) -> tuple[int, Any]:
        """Ask for something to happen; ``body`` as value or as bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self._session.post(f"{self._url}/_sim/{name}", data=data) as response:
            return response.status, json.loads(await response.read())

    async def get(self, name: str) -> tuple[int, Any]:
        """Ask what happened."""
        async with self._session.get(f"{self._url}/_sim/{name}") as response:
            return response.status, json.loads(await response.read())

    async def token(self) -> dict[str, str]:
        """Return the headers of an authorized call."""
        settings = SimulatorSettings()
        body = {"app_id": settings.app_id, "app_secret": settings.app_secret.reveal()}
        path = "/open-apis/auth/v3/tenant_access_token/internal"
        async with self._session.post(self._url + path, json=body) as response:
            return {"Authorization": f"Bearer {(await response.json())['tenant_access_token']}"}

    def send(self, chat_id: str, headers: dict[str, str]) -> Requesting:
        """Send a text as the worker would."""
        body = {"receive_id": chat_id, "msg_type": "text", "content": '{"text":"hi"}'}
        path = "/open-apis/im/v1/messages?receive_id_type=chat_id"
        return self._session.post(self._url + path, json=body, headers=headers)

    async def fault(self, kind: str) -> None:
        """Let every call meet this fault."""
        await self.post("faults", {"seed": 1, "rules": [{"path": "/open-apis/im/*", "kind": kind, "p": 1}]})

    async def card(self, content: Any = None) -> tuple[str, str]:
        """Return a new chat and a new card in it."""
        _, chat = await self.post("chats", {"name": "报警群"})
        _, put = await self.post("cards", {"chat_id": chat["chat_id"], "card": content or card()})
        return chat["chat_id"], put["message_id"]
