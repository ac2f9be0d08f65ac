"""
What a call to the platform costs the caller: CPU time of a card's update, beside the official SDK's two clients.

All call one simulator, a process of its own without limits; a round begins when the one before has ended.
The SDK's asynchronous client opens a connection for each call, which is why it makes fewer of them.
"""

import asyncio
import importlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.figures import Round, spent, spread
from bench.place import APP_ID, environment
from bench.work import card_showing
from shared.clock import SystemClock
from shared.core.ids import MessageId, TenantKey
from shared.core.json_text import json_text
from shared.core.secret import Secret
from shared.feishu.openapi import Success, read, update_card
from shared.settings import PlatformSettings
from tests.chaos.platform import Platform as Control
from tests.chaos.platform import session
from tests.chaos.processes import Fleet, Spec
from worker.platform.client import HttpPlatform

CARDS: Final = 50
CALLS: Final = 1_000
SLOW_CALLS: Final = 50
AT_ONCE: Final = 16
SECRET: Final = environment()["LARK_APP_SECRET"]

HEAD: Final = ("a card's update", "CPU µs/call (min / median / max)", "calls/s", "× ours")

Contender = Callable[[Sequence[str], int], Awaitable[None]]
"""Makes so many calls, on these cards in turns."""


async def measure(*, rounds: int) -> Mapping[str, Sequence[Round]]:
    """Return each contender's rounds. A first one of each warms up and is not counted."""
    async with AsyncExitStack() as closing:
        folder = closing.enter_context(TemporaryDirectory(prefix="cardwire-bench-"))
        domain, cards = await _simulator(closing, Path(folder))
        contenders: Mapping[str, tuple[Contender, int]] = {
            "Cardwire's worker": (await _ours(closing, domain), CALLS),
            "lark-oapi, `patch`": (_sdk(domain), CALLS),
            "lark-oapi, `apatch`": (_asynchronous_sdk(domain), SLOW_CALLS),
        }
        found: dict[str, list[Round]] = {name: [] for name in contenders}
        for number in range(rounds + 1):
            for name, (contender, calls) in contenders.items():
                with spent([]) as measured:
                    await contender(cards, calls)
                if number:
                    found[name].append(Round(count=calls, spent=measured))
        return found


async def _simulator(closing: AsyncExitStack, folder: Path) -> tuple[str, Sequence[str]]:
    fleet = Fleet(folder)
    closing.push_async_callback(fleet.close)
    env = {**environment(), "CARDWIRE_SIMULATOR_PORT": "0", "CARDWIRE_SIMULATOR_LIMITS": "none"}
    (simulator,) = await fleet.start(Spec(name="simulator", role="simulator", env=env))
    async with session() as http:
        control = Control(http, simulator.addresses["control"])
        chat_id = (await control.post("chats", {"name": "bench"}))["chat_id"]
        card = {"chat_id": chat_id, "card": card_showing(0, "")}
        return simulator.addresses["openapi"], [(await control.post("cards", card))["message_id"] for _ in range(CARDS)]


async def _ours(closing: AsyncExitStack, domain: str) -> Contender:
    told = PlatformSettings(domain=domain, app_secret=Secret(SECRET))
    platform = await closing.enter_async_context(HttpPlatform({APP_ID: told}, clock=SystemClock()))
    slots = asyncio.Semaphore(AT_ONCE)

    async def update(card: str) -> None:
        async with slots:
            request = update_card(MessageId(card), json_text(card_showing(1, "")))
            reply = read(await platform.call(APP_ID, TenantKey(""), request))
            assert isinstance(reply, Success), reply

    async def contender(cards: Sequence[str], calls: int) -> None:
        await asyncio.gather(*(update(cards[number % len(cards)]) for number in range(calls)))

    return contender


def _sdk(domain: str) -> Contender:
    client, request = _client(domain)

    async def contender(cards: Sequence[str], calls: int) -> None:
        # It blocks: one call after the other, as it is used.
        for number in range(calls):
            reply = client.im.v1.message.patch(request(cards[number % len(cards)]))
            assert reply.success(), reply.code

    return contender


def _asynchronous_sdk(domain: str) -> Contender:
    client, request = _client(domain)
    slots = asyncio.Semaphore(AT_ONCE)

    async def update(card: str) -> None:
        async with slots:
            reply = await client.im.v1.message.apatch(request(card))
            assert reply.success(), reply.code

    async def contender(cards: Sequence[str], calls: int) -> None:
        await asyncio.gather(*(update(cards[number % len(cards)]) for number in range(calls)))

    return contender


def _client(domain: str) -> tuple[Any, Callable[[str], Any]]:
    importlib.import_module("tests.interop.sdk")  # silences what the SDK's import would warn of
    lark, im = importlib.import_module("lark_oapi"), importlib.import_module("lark_oapi.api.im.v1")
    client = lark.Client.builder().app_id(APP_ID).app_secret(SECRET).domain(domain).build()

    def request(card: str) -> Any:
        body = im.PatchMessageRequestBody.builder().content(json.dumps(card_showing(1, ""))).build()
        return im.PatchMessageRequest.builder().message_id(card).request_body(body).build()

    return client, request


def lines(measured: Mapping[str, Sequence[Round]]) -> list[list[str]]:
    """Return the rows of a table about these rounds; see `HEAD`."""
    ours = next(iter(measured.values()))
    return [
        [
            name,
            spread([each.own_us for each in rounds]),
            spread([each.rate for each in rounds]),
            spread([other.own_us / mine.own_us for other, mine in zip(rounds, ours, strict=True)], digits=1),
        ]
        for name, rounds in measured.items()
    ]
