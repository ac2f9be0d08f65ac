"""The page over HTTP: looked at by GET, pressed by a form's POST, which leads back to it."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from shared.core.ids import OpenId
from simulator.answers import CallbackStyle
from simulator.callbacks import Person
from simulator.deliver import Deliverer
from simulator.page.drawing import FIELD, PRESS
from simulator.page.showing import HEADERS, address, page
from simulator.platform import Platform
from simulator.wire_json import any_json, json_bytes

PAGE: Final = "page"
DEFAULT_PERSON: Final = "ou_00000000000000000000000000000001"


class Page:
    """Shows the page, and lets people press what is on it."""

    def __init__(self, platform: Platform, deliverer: Deliverer, style: CallbackStyle) -> None:
        self._platform = platform
        self._deliverer = deliverer
        self._style = style

    async def answer(self, method: str, query: str, body: bytes) -> web.Response:
        """
        Show the page, or click what was pressed on it.

        Raises:
            UnknownThing: There is no such chat or card.
            ValueError: That is no press.
        """
        return await self._press(body) if method == "POST" else self._show(query)

    def _show(self, query: str) -> web.Response:
        given = dict(parse_qsl(query))
        groups = [chat for chat in self._platform.chats.values() if chat.mode == "group"]
        chat = self._platform.chat(given["chat_id"]) if given.get("chat_id") else next(reversed(groups), None)
        text = page(
            self._platform, chat=chat, person=OpenId(given.get("as") or DEFAULT_PERSON), said=given.get("said", "")
        )
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def _press(self, body: bytes) -> web.Response:
        # It leads back to the page, which says what the client said.
        given = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        message = self._platform.message(given.get("message_id", ""))
        person = given.get("as") or DEFAULT_PERSON
        seen = await self._deliverer.click(
            message.message_id,
            operator=Person(open_id=OpenId(person)),
            action=json_bytes(action_of(given)),
            style=self._style,
        )
        said = seen.client_text or (f"error {seen.client_error}" if seen.client_error is not None else "")
        return web.Response(status=303, headers={"Location": address(message.chat_id, person, said)})


def action_of(given: Mapping[str, str]) -> dict[str, Any]:
    """
    Return what the platform reports of a press: the component, and what was chosen or filled in.

    Raises:
        ValueError: There is no component.
    """
    action = any_json(given.get("action", ""))
    if not isinstance(action, dict):
        raise ValueError("action: expected a JSON object")  # noqa: TRY004 - a mistake of the caller's
    fields = {name.removeprefix(FIELD): text for name, text in given.items() if name.startswith(FIELD)}
    chosen = {name: given[name] for name in ("option", "input_value") if name in given}
    return {**action, **chosen, **({"form_value": fields} if fields else {})}


def is_of_page(method: str, name: str) -> bool:
    """Return whether a call under ``/_sim/`` is the page's."""
    return (method, name) in {("GET", PAGE), ("POST", PRESS)}
