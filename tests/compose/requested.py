"""Programs at a stack's port for requests, as docs/howto/requests.md has it in containers: one let in, others not."""

import asyncio
import hashlib
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from tests.chaos.platform import Platform
from tests.compose.engine import ROOT, Compose
from tests.compose.people import simulator

APP_ID: Final = "cli_a0c0ffee00000001"
OPENED_S: Final = 15.0
SHOWN_S: Final = 30.0
_NOBODY: Final = 503
CALLERS: Final = """\
[callers.proof]
apps = ["{app_id}"]
effects = ["UpdateCard"]
token_sha256 = ["{digest}"]
"""


async def let_in(compose: Compose, folder: Path) -> str:
    """Open the port in a stack that runs, for one caller who may update cards; return the caller's token."""
    token, ours = secrets.token_hex(16), folder / "secrets"
    shutil.copytree(ROOT / "deploy/simulated", ours)
    digest = hashlib.sha256(token.encode()).hexdigest()
    (ours / "callers.toml").write_text(CALLERS.format(app_id=APP_ID, digest=digest))
    for file in ours.iterdir():
        file.chmod(0o644)
    await compose.set(
        COMPOSE_FILE=f"{ROOT / 'docker-compose.yml'}:{ROOT / 'deploy/requests.yml'}",
        CARDWIRE_SECRETS=str(ours),
        CARDWIRE_REQUESTS_PUBLISH="127.0.0.1:0",
    )
    await compose.run("up", "--detach", "--wait")
    return token


async def requested(compose: Compose, token: str) -> tuple[Sequence[str], Sequence[str]]:
    """
    Have a card updated by a request, twice asked for; and be refused.

    Returns:
        What was seen, and what was wrong.
    """
    async with simulator(compose) as platform, aiohttp.ClientSession() as session:
        chat = (await platform.post("chats", {"name": "requests"}))["chat_id"]
        card = (await platform.post("cards", {"chat_id": chat, "card": _card("before")}))["message_id"]
        port = _Port(session=session, url=f"{await compose.address('proxy', 7780)}/v1/requests")
        text = {"kind": "SendText", "to": chat, "text": "nobody may send this"}
        update = {"kind": "UpdateCard", "message_id": card, "card": _card("after")}
        statuses = {
            "without a token": await port.opened(update),
            "with another token": await port.post(update, "r-2", secrets.token_hex(16)),
            "for what it may not": await port.post(text, "r-3", token),
            "for a card": await port.post(update, "r-4", token),
            "for it again": await port.post(update, "r-4", token),
        }
        began = time.monotonic()
        wrong = _refusals(statuses, port) + await _unlike(platform, chat, card)
        took_s = time.monotonic() - began
    told = ", ".join(f"{status} {who}" for who, status in statuses.items())
    return [f"requests    {told}; the card changed within {took_s:.1f} s"], wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    """The port for requests."""

    session: aiohttp.ClientSession
    url: str

    async def opened(self, effect: Mapping[str, Any]) -> int:
        """Ask without a token until the proxy has found the gateways behind it, and return the status."""
        deadline, status = time.monotonic() + OPENED_S, _NOBODY
        while status == _NOBODY and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            status = await self.post(effect, "r-1", None)
        return status

    async def post(self, effect: Mapping[str, Any], request_id: str, token: str | None) -> int:
        """Ask for one effect, and return the status."""
        body = orjson.dumps({"request_id": request_id, "app_id": APP_ID, "effects": [effect]})
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.session.post(self.url, data=body, headers=headers) as response:
            await response.read()
            return response.status


def _refusals(statuses: Mapping[str, int], port: _Port) -> list[str]:
    expected = (401, 401, 403, 202, 202)
    return [
        f"{port.url} answered {status} to a request {who}, expected {wanted}"
        for (who, status), wanted in zip(statuses.items(), expected, strict=True)
        if status != wanted
    ]


async def _unlike(platform: Platform, chat: str, card: str) -> list[str]:
    """Wait until the card was updated, and return what is not as it must be then."""
    deadline = time.monotonic() + SHOWN_S
    while "after" not in str((message := await platform.get(f"messages/{card}"))["card"]):
        if time.monotonic() > deadline:
            return [f"the card still reads {message['card']}"]
        await asyncio.sleep(0.1)
    told = [version["by"] for version in message["versions"]]
    left = (await platform.get(f"chats/{chat}"))["message_ids"]
    wrong = [] if told == ["sent", "patch"] else [f"the card was changed by {told}, expected one patch"]
    return wrong if left == [card] else [*wrong, f"the chat holds {left}, expected the card alone"]


def _card(title: str) -> dict[str, Any]:
    return {
        "config": {"update_multi": True},
        "header": {"title": {"tag": "plain_text", "content": title}},
        "elements": [],
    }
