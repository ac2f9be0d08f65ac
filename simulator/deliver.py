"""
Deliveries: callbacks leave by HTTP, and what the person's client made of the answer is told.

A callback is delivered once and never repeated by the platform; only a test asks for copies, or for the bytes of an
earlier click again. Three seconds after the bytes left nobody waits any more.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from shared.core.ids import EventId, TenantKey
from shared.feishu.limits import CHALLENGE_DEADLINE_S
from simulator.answers import (
    CALL_FAILED,
    CallbackStyle,
    Heard,
    NotAnswered,
    Reaction,
    is_challenge_met,
    react_to_event,
    react_to_preview,
)
from simulator.callbacks import Callbacks, Click, Delivery, Person
from simulator.clicking import Expired, await_answer, close_click, open_click
from simulator.history import ClickSeen
from simulator.platform import Platform, UnknownThing
from simulator.previews import Preview
from simulator.seeing import Seen, seen_by_client, status_of
from simulator.sending import ONCE, Copies, Sender
from simulator.wire_json import json_bytes

KEPT_DELIVERIES: Final = 50_000
EXPIRED_TEXT: Final = "该卡片发送时间已超过 30 天，无法进行互动"
"""What the platform's client says of a card that is too old; its text for 2.0 cards is not documented."""


class Deliverer:
    """Makes callbacks, sends them, and lets the platform see what came back."""

    def __init__(
        self,
        platform: Platform,
        callbacks: Callbacks,
        sender: Sender,
    ) -> None:
        self._platform = platform
        self._callbacks = callbacks
        self._sender = sender
        self._delivered: OrderedDict[EventId, tuple[Click, Delivery]] = OrderedDict()

    async def click(
        self, message_id: str, *, operator: Person, action: bytes, style: CallbackStyle, copies: Copies = ONCE
    ) -> Seen:
        """
        Click a card and return what the person saw.

        Raises:
            UnknownThing: There is no such card.
        """
        try:
            click = open_click(self._platform, message_id, operator=operator, action=action, style=style)
        except Expired:
            return Seen(event_id=None, client_error="expired", client_text=EXPIRED_TEXT)
        delivery = self._callbacks.click(click, wall=self._platform.clock.wall())
        self._delivered[delivery.event_id] = (click, delivery)
        if len(self._delivered) > KEPT_DELIVERIES:
            self._delivered.popitem(last=False)
        return await self._await_click(click, delivery, copies, is_again=False)

    async def again(self, event_id: str, copies: Copies = ONCE) -> Seen:
        """
        Deliver the bytes of an earlier click again, signed headers included.

        Raises:
            UnknownThing: No such click is remembered.
        """
        known = self._delivered.get(EventId(event_id))
        if known is None:
            raise UnknownThing(f"click {event_id}")
        return await self._await_click(*known, copies, is_again=True)

    async def event(
        self,
        schema: str,
        kind: str,
        event: Mapping[str, Any],
        copies: Copies = ONCE,
        *,
        tenant_key: TenantKey | None = None,
    ) -> Seen:
        """Push a subscribed event of schema ``p1`` or ``p2``, from the app's own organisation or from another."""
        whose = tenant_key or self._platform.app.tenant_key
        clock, event_id = self._platform.clock, self._platform.names.event()
        created, wall = clock.now(), clock.wall()
        if schema == "p1":
            delivery = self._callbacks.event_p1(event_id, kind, event, tenant_key=whose, created=created, wall=wall)
        else:
            delivery = self._callbacks.event_p2(
                event_id, kind, json_bytes(event), tenant_key=whose, created=str(created), wall=wall
            )
        heard = await self._sender.deliver(delivery, copies)
        return seen_by_client(delivery.event_id, heard, react_to_event(heard.first))

    async def preview(self, url: str, *, operator: Person, message_id: str | None, copies: Copies = ONCE) -> Seen:
        """Ask for the preview of a link, in a message or while it is still being typed."""
        if message_id is not None:
            preview = self._platform.preview(self._platform.message(message_id), url)
            return await self.pull(preview, operator, copies)
        context = {"url": url, "open_message_id": "", "open_chat_id": ""}
        seen, _ = await self._preview(context, operator, self._platform.app.tenant_key, copies)
        return seen

    async def pull(self, preview: Preview, operator: Person, copies: Copies = ONCE) -> Seen:
        """Ask for the preview of a link in a message, and let the person see what is answered."""
        preview.pull(operator)
        context = {
            "url": preview.url, "open_message_id": preview.message_id, "open_chat_id": preview.chat_id,
            "preview_token": preview.token,
        }  # fmt: skip
        tenant_key = self._platform.chats[preview.chat_id].tenant_key
        seen, reaction = await self._preview(context, operator, tenant_key, copies)
        preview.show(operator.open_id, reaction)
        return seen

    async def ticket(self, ticket: str, copies: Copies = ONCE) -> Seen:
        """Push a store app's ticket."""
        clock, event_id = self._platform.clock, self._platform.names.event()
        delivery = self._callbacks.event_p1(
            event_id, "app_ticket", {"app_ticket": ticket}, tenant_key=None, created=clock.now(), wall=clock.wall()
        )
        heard = await self._sender.deliver(delivery, copies)
        return seen_by_client(delivery.event_id, heard, react_to_event(heard.first))

    async def _preview(
        self, context: Mapping[str, str], operator: Person, tenant_key: TenantKey, copies: Copies
    ) -> tuple[Seen, Reaction]:
        platform = self._platform
        people = {
            "tenant_key": operator.tenant_key or tenant_key, "user_id": operator.user_id, "open_id": operator.open_id,
        }  # fmt: skip
        event = json_bytes({"operator": people, "host": "im_message", "context": context})
        delivery = self._callbacks.event_p2(
            platform.names.event(), "url.preview.get", event, tenant_key=tenant_key,
            created=str(platform.clock.now() * 1000), wall=platform.clock.wall(),
        )  # fmt: skip
        heard = await self._sender.deliver(delivery, copies)
        reaction = react_to_preview(heard.first)
        return seen_by_client(delivery.event_id, heard, reaction), reaction

    async def challenge(self) -> tuple[Seen, bool]:
        """Verify the receiver's address as the console does; return also whether that succeeded."""
        challenge = self._platform.names.request()
        delivery = self._callbacks.challenge(challenge, wall=self._platform.clock.wall())
        heard = await self._sender.deliver(delivery, ONCE, within_s=CHALLENGE_DEADLINE_S)
        return seen_by_client(None, heard, react_to_event(heard.first)), is_challenge_met(heard.first, challenge)

    async def _await_click(self, click: Click, delivery: Delivery, copies: Copies, *, is_again: bool) -> Seen:
        platform = self._platform
        began = platform.clock.now()
        reactions: list[Reaction] = []

        def close(heard: Heard) -> None:
            reactions.append(close_click(platform, click, delivery.event_id, heard))
            platform.history.clicks.add(
                ClickSeen(
                    n=platform.history.clicks.next_n(), event_id=delivery.event_id, message_id=click.message_id,
                    style=click.style, deliveries=copies.copies, is_again=is_again, began_at_ms=began,
                    ended_at_ms=platform.clock.now(), status=status_of(heard), client_error=reactions[0].client_error,
                )
            )  # fmt: skip

        await_answer(platform, click, delivery.event_id)
        try:
            heard = await self._sender.deliver(delivery, copies, at_first=close)
        finally:
            # Cancelled: a click that nobody waits for any more is over.
            if not reactions:
                close(NotAnswered(code=CALL_FAILED))
        return seen_by_client(delivery.event_id, heard, reactions[0])
