"""
The control interface, ``/_sim/``: how tests and people make things happen, and see what happened.

JSON in, JSON out. A mistake of the caller's is answered 400 (404 for what does not exist) with one line in ``error``.
The table of calls: docs/reference/simulator.md.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from aiohttp import web

from shared.core.ids import TenantKey
from shared.feishu.limits import Limits
from simulator.answers import CallbackStyle
from simulator.asking import answers_on, change, copies_of, person_of, read_request
from simulator.connections import Connections
from simulator.deliver import Deliverer
from simulator.faults import FaultRule, Faults
from simulator.looking import NO_SUCH_CALL, look
from simulator.page.serving import Page, is_of_page
from simulator.platform import Platform, UnknownThing
from simulator.refusals import Refused
from simulator.requests import (
    MoveClock,
    NewCard,
    NewChat,
    NewClick,
    NewConnections,
    NewEvent,
    NewFaults,
    NewLimits,
    NewPreview,
    NewReceivers,
    Nothing,
    OneChat,
    OneMessage,
    Repeated,
    Revoked,
)
from simulator.seeing import Seen
from simulator.sending import Sender
from simulator.wire_json import json_bytes

PREFIX: Final = "/_sim/"
_DEFAULT_ACTION: Final = b'{"tag":"button"}'


class Control:
    """Carries out what is asked for under ``/_sim/``, on the addresses that may ask."""

    def __init__(
        self,
        platform: Platform,
        deliverer: Deliverer,
        sender: Sender,
        faults: Faults,
        connections: Connections,
        *,
        control_host: str,
        style: CallbackStyle,
    ) -> None:
        self._platform = platform
        self._deliverer = deliverer
        self._sender = sender
        self._faults = faults
        self._connections = connections
        self._control_host = control_host
        self._style = style
        self._page = Page(platform, deliverer, style)
        self._posts: dict[str, tuple[type[Any], Callable[[Any], Awaitable[Mapping[str, Any]]]]] = {
            "chats": (NewChat, self._new_chat),
            "cards": (NewCard, self._new_card),
            "click": (NewClick, self._click),
            "events": (NewEvent, self._event),
            "previews": (NewPreview, self._preview),
            "challenge": (Nothing, self._challenge),
            "recall": (OneMessage, self._recall),
            "dissolve": (OneChat, self._dissolve),
            "clock": (MoveClock, self._move_clock),
            "faults": (NewFaults, self._new_faults),
            "limits": (NewLimits, self._new_limits),
            "callback": (NewReceivers, self._new_receivers),
            "connections": (NewConnections, self._new_connections),
            "app_ticket": (Repeated, self._ticket),
            "revoke_tokens": (Revoked, self._revoke_tokens),
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        name = request.transport.get_extra_info("sockname") if request.transport is not None else None
        if not answers_on(str(name[0]) if name else None, self._control_host):
            return _json({"error": "the control interface answers on another address: see --control-host"}, status=403)
        path, _, query = request.raw_path.partition("?")
        name = unquote(path).removeprefix(PREFIX)
        try:
            if is_of_page(request.method, name):
                return await self._page.answer(request.method, query, await request.read())
            if request.method == "GET":
                return _json(look(self._platform, self._connections, name, query))
            kind, perform = self._posts.get(name, (Nothing, _no_such_call))
            return _json(await perform(read_request(await request.read(), kind)))
        except UnknownThing as unknown:
            return _json({"error": f"there is no {unknown}"}, status=404)
        except (ValueError, msgspec.ValidationError, Refused) as mistake:
            return _json({"error": str(mistake)}, status=400)

    async def _new_chat(self, asked: NewChat) -> Mapping[str, Any]:
        tenant_key = TenantKey(asked.tenant_key) if asked.tenant_key else None
        if tenant_key is not None and tenant_key != self._platform.app.tenant_key and not self._platform.app.is_store:
            raise ValueError("tenant_key: an app of one's own is in one organisation; see CARDWIRE_SIMULATOR_STORE_APP")
        chat = self._platform.new_chat(
            asked.name, edit_permission=asked.edit_permission, bot=asked.bot, tenant_key=tenant_key
        )
        return {"chat_id": chat.chat_id}

    async def _new_card(self, asked: NewCard) -> Mapping[str, Any]:
        text = asked.card if isinstance(asked.card, str) else json_bytes(asked.card).decode()
        message = self._platform.put_card(asked.chat_id, text, sent_at=asked.sent_at_ms)
        return {"message_id": message.message_id}

    async def _click(self, asked: NewClick) -> Mapping[str, Any]:
        if asked.again is not None:
            return _seen(await self._deliverer.again(asked.again, copies_of(asked)))
        action = _DEFAULT_ACTION if asked.action is None else json_bytes(asked.action)
        if asked.action_json is not None:
            json.loads(asked.action_json)
            action = asked.action_json.encode()
        seen = await self._deliverer.click(
            asked.message_id or "",
            operator=person_of(asked.operator),
            action=action,
            style=asked.style or self._style,
            copies=copies_of(asked),
        )
        return _seen(seen)

    async def _event(self, asked: NewEvent) -> Mapping[str, Any]:
        tenant_key = TenantKey(asked.tenant_key) if asked.tenant_key else None
        seen = await self._deliverer.event(
            asked.schema, asked.type, asked.event, copies_of(asked), tenant_key=tenant_key
        )
        return _seen(seen)

    async def _ticket(self, asked: Repeated) -> Mapping[str, Any]:
        if not self._platform.app.is_store:
            raise ValueError("only store apps get tickets; see CARDWIRE_SIMULATOR_STORE_APP")
        ticket = self._platform.access_tokens.new_ticket(now=self._platform.clock.now())
        return _seen(await self._deliverer.ticket(ticket, copies_of(asked)))

    async def _preview(self, asked: NewPreview) -> Mapping[str, Any]:
        seen = await self._deliverer.preview(
            asked.url, operator=person_of(asked.operator), message_id=asked.message_id, copies=copies_of(asked)
        )
        return _seen(seen)

    async def _challenge(self, _: Nothing) -> Mapping[str, Any]:
        seen, is_met = await self._deliverer.challenge()
        return {**_seen(seen), "verified": is_met}

    async def _recall(self, asked: OneMessage) -> Mapping[str, Any]:
        self._platform.message(asked.message_id).is_recalled = True
        return {}

    async def _dissolve(self, asked: OneChat) -> Mapping[str, Any]:
        self._platform.chat(asked.chat_id).is_dissolved = True
        return {}

    async def _move_clock(self, asked: MoveClock) -> Mapping[str, Any]:
        self._platform.clock.advance(asked.advance_s)
        return {"now_ms": self._platform.clock.now()}

    async def _new_faults(self, asked: NewFaults) -> Mapping[str, Any]:
        rules = [FaultRule(path=rule.path, kind=rule.kind, p=rule.p, ms=rule.ms) for rule in asked.rules]
        self._faults.set(asked.seed, rules)
        return {}

    async def _new_limits(self, asked: NewLimits) -> Mapping[str, Any]:
        if asked.factor is not None and not asked.factor > 0:
            raise ValueError("factor: expected a number greater than 0, or null for no limit")
        self._platform.limits = Limits().unlimited() if asked.factor is None else Limits().times(asked.factor)
        return {}

    async def _new_receivers(self, asked: NewReceivers) -> Mapping[str, Any]:
        self._sender.urls = tuple(asked.urls)
        return {"urls": asked.urls}

    async def _new_connections(self, asked: NewConnections) -> Mapping[str, Any]:
        change(self._connections.asked, asked)
        if asked.end is not None:
            await asyncio.gather(*(client.end(asked.end) for client in self._connections.clients))
        return {}

    async def _revoke_tokens(self, asked: Revoked) -> Mapping[str, Any]:
        self._platform.access_tokens.revoke(TenantKey(asked.tenant_key) if asked.tenant_key else None)
        if asked.tickets:
            self._platform.access_tokens.revoke_tickets()
        return {}


async def _no_such_call(_: Nothing) -> Mapping[str, Any]:
    raise UnknownThing(NO_SUCH_CALL)


def _seen(seen: Seen) -> dict[str, Any]:
    return asdict(seen)


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=json_bytes(content), content_type="application/json", charset="utf-8")
