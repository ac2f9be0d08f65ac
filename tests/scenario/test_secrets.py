"""A whole story at the most talkative level, with everything in it that nobody may read in a line."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from typing import Any, Final

import aiohttp

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.cards import Toast
from shared.core.decision import Card, Decision
from shared.core.effects import RenameChat, SendText, UpdateCard
from tests.support.callbacks import Wire, click, encrypted, plain, signed, signed_legacy
from tests.support.lines import lines_at_debug
from tests.support.planted import found_in
from tests.support.world import ENCRYPTED, Stack, World, world

TYPED: Final = "planted-in-a-form-3e10"
PRESSED: Final = "planted-in-a-value-9b2c"
SHOWN: Final = "planted-in-a-card-c4d5"
RAISED: Final = "planted-in-an-error-88fe"
STATE: Final = "planted-in-a-state-1d6a"
BODY: Final = "planted-in-a-body-5aa1"
LIBRARIES: Final = ("aiohttp", "aiokafka", "aiosqlite", "asyncio", "asyncpg", "sqlalchemy", "sqlalchemy.engine")


def talkative() -> App:
    """Return an app whose handlers do with secrets all that they may, and break over them."""
    app = App()
    app.answer_link_preview("https://broken.example/")(_breaks)

    @app.on_action("rename", answer=Toast.info("好"))
    def rename(click: Interaction, card: Card | None) -> Decision:
        """Put what came into state, card and chat."""
        shown = {"elements": [{"tag": "markdown", "content": f"{SHOWN} {click.form_value}"}]}
        return Decision(
            state={"kept": STATE, "form": click.form_value},
            effects=[UpdateCard(shown), RenameChat(SHOWN), SendText(SHOWN, to="oc_absent")],
        )

    @app.on_action("break", answer=_breaks)
    def breaks(click: Interaction, card: Card | None) -> None:
        """Raise what was typed."""
        raise ValueError(RAISED, click.value)

    @app.on_action("wrong")
    def wrong(click: Interaction, card: Card | None) -> Any:
        """Return what no decision is."""
        return {"planted": click.value}

    @app.on_action(lambda click: click.value["action"] == PRESSED and bool(1 / click.value[PRESSED]))
    def never(click: Interaction, card: Card | None) -> None:
        """Never reached."""

    return app


def _breaks(interaction: Interaction) -> Toast:
    raise KeyError(RAISED, interaction.callback)


def _clicks(running: World, chat_id: str, message_id: str) -> Iterator[Wire]:
    """Yield what arrives: clicks that end in every way, and forgeries."""
    now = time.time_ns() // 1_000_000
    key, token = ENCRYPTED["LARK_ENCRYPT_KEY"], ENCRYPTED["LARK_VERIFICATION_TOKEN"]

    def sealed(body: Any, *, by: str = key) -> Wire:
        return signed(encrypted(body, key=key), key=by, at=now)

    for number, action in enumerate(("rename", "break", "wrong", PRESSED)):
        body = click(f"ev{number}", app_id=running.env["LARK_APP_ID"], token=token, message_id=message_id)
        body["event"]["action"] = {
            "tag": "button", "value": {"action": action, PRESSED: 0}, "form_value": {"field": TYPED},
            "input_value": TYPED, "option": TYPED,
        }  # fmt: skip
        body["event"]["context"] |= {"open_chat_id": chat_id, "preview_token": BODY}
        yield sealed(body)
        yield sealed(body, by=BODY)
        yield signed(plain(body), key=key, at=now)
        yield signed_legacy(plain(body), token=token, at=now)
    yield sealed(click("link", app_id=running.env["LARK_APP_ID"], event_type="url.preview.get"))
    yield sealed(BODY.encode())
    yield sealed(click(app_id=BODY))
    yield Wire(body=plain({"type": "url_verification", "challenge": BODY, "token": BODY}))


async def _post(session: aiohttp.ClientSession, url: str, wire: Wire) -> None:
    async with session.post(url, data=wire.body, headers=wire.headers) as response:
        assert response.status in {200, 401}


async def test_a_story_at_debug_tells_no_secret(stack: Stack) -> None:
    """Log lines, probes, metrics: whatever clicks hold, handlers do and the platform refuses."""
    asyncio.get_running_loop().set_debug(True)
    with lines_at_debug(turned_up=(*LIBRARIES, *logging.getLogger().manager.loggerDict)) as said:
        seen = await _story(stack)
    events = {json.loads(line)["event"] for line in said.getvalue().splitlines()}
    assert {"callback_answered", "handler_failed", "effect_performed"} <= events
    for text in (said.getvalue(), *seen):
        leak = found_in(text)
        assert leak is None, text[max(0, leak.start() - 200) : leak.start()]


async def _story(stack: Stack) -> list[str]:
    """Live through it, and return what probes and metrics then say."""
    async with aiohttp.ClientSession() as session, world(stack, talkative()) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, {"config": {"update_multi": True}, "elements": []})
        for wire in _clicks(running, chat_id, message_id):
            await _post(session, f"{running.gateway.url}/webhook/card", wire)
        await running.quiet()
        assert SHOWN in str(running.simulator.platform.message(message_id).card)
        return [await _get(session, url) for url in _probes(running)]


def _probes(running: World) -> Iterator[str]:
    for admin_url in (running.gateway.admin_url, *(worker.admin_url for worker in running.workers)):
        for name in ("metrics", "readyz", "healthz"):
            yield f"{admin_url}/{name}"


async def _get(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        assert response.status == 200
        return await response.text()
