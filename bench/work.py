"""
The work that is measured: clicks of people on cards, their answered marks, and the handler that decides them.

Records are like those of a real gateway: a click is 1.2 KB, its mark follows a few records later, as it does when
some clicks are answered at the same time.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cardwire import App, Card, Decision, Interaction, Toast, UpdateCard
from shared.core.codec import encode
from shared.core.errors import LogUnavailable
from shared.core.events import Action, Event, InteractionAnswered, InteractionReceived, Operator
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import json_text
from shared.eventlog.port import PARTITIONS, EventLog, NewRecord, Topics

APP_ID: Final = AppId("cli_b0b1b2b3b4b5b6b7")
TENANT: Final = TenantKey("2ed263bf32cf1651")
CLICK_BYTES: Final = 1_200
"""A click's value: what a new-style callback comes to, less its tokens."""

IN_FLIGHT: Final = 16
"""Clicks that are received between a click and its answered mark."""

APPEND: Final = 500
READY_S: Final = 30.0
PATIENCE_S: Final = 30.0
"""How long an append may take that makes a log to be measured: the machine may be busy."""

TRIES: Final = 5
_STARTED_AT: Final = 1_750_000_000_000

app = App()


@app.on_action("count", answer=Toast.info("已计数"))
def count(click: Interaction, card: Card | None) -> Decision:
    """Count one more click of the card and show it: one effect, and state."""
    state = card.state if card is not None else None
    clicks = state["clicks"] + 1 if state else 1
    return Decision(state={"clicks": clicks}, effects=[UpdateCard(card_showing(clicks, click.event_id))])


def card_showing(clicks: int, event_id: str) -> dict[str, Any]:
    """Return the card after a number of clicks, the last of which was this event."""
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "跟进处理"},
        "type": "primary",
        "value": {"action": "count", "alert": "payments: time-outs 3.2 %, 12 min"},
    }
    return {
        "config": {"update_multi": True},
        "header": {"template": "orange", "title": {"tag": "plain_text", "content": f"跟进中 ({clicks})"}},
        "elements": [
            {"tag": "div", "text": {"tag": "lark_md", "content": f"**payments** time-outs 3.2 %\n{event_id}"}},
            {"tag": "action", "actions": [button]},
        ],
    }


def inputs(events: int, *, topic: str, cards: int, first: int = 0) -> Sequence[NewRecord]:
    """
    Return records for the interactions topic: half clicks, half marks.

    Args:
        cards: How many cards are clicked, in turns.
        first: The number of the first click; later rounds go on counting.
    """
    return [NewRecord.of(topic, encode(event)) for event in events_of(events // 2, cards, first)]


async def make(log: EventLog, topics: Topics) -> None:
    """Make the topics and wait until all their partitions can be written to."""
    names = [topics.interactions, topics.outcomes, topics.dead]
    await log.create(names)
    async with asyncio.timeout(READY_S):
        for name in names:
            while not await _has_leaders(log, name):  # noqa: ASYNC110 (a broker sets no event of ours)
                await asyncio.sleep(0.2)


async def _has_leaders(log: EventLog, topic: str) -> bool:
    try:
        return len(await log.spans(topic)) == PARTITIONS or log.features.makes_topics
    except LogUnavailable:
        return False


async def fill(log: EventLog, topic: str, records: Sequence[NewRecord]) -> int:
    """Append records through the log's port, and return how many there are more than before."""
    before = await _size(log, topic)
    for start in range(0, len(records), APPEND):
        await append(log, records[start : start + APPEND])
    return await _size(log, topic) - before


async def append(log: EventLog, records: Sequence[NewRecord]) -> None:
    """
    Append records, several times if need be.

    On a machine that is busy a broker may acknowledge too late; what is appended again makes duplicates, as it would in
    production.
    """
    for tries_left in range(TRIES, -1, -1):
        try:
            await log.append(records)
            break
        except LogUnavailable:
            if not tries_left:
                raise
            await asyncio.sleep(1)


async def _size(log: EventLog, topic: str) -> int:
    return sum(span.end for span in (await log.spans(topic)).values())


def click(number: int, card: int) -> InteractionReceived:
    """Return a click as the gateway records it."""
    event_id = EventId(f"{number:032x}")
    message_id = MessageId(f"om_{card:032x}")
    at = _STARTED_AT + number
    return InteractionReceived(
        event_id=event_id,
        kind="card_action",
        app_id=APP_ID,
        tenant_key=TENANT,
        operator=Operator(open_id=OpenId("ou_7d8a6e6df7621556ce0d21922b676706")),
        message_id=message_id,
        chat_id=ChatId(f"oc_{card // 10:032x}"),
        host="im_message",
        action=Action(tag="button", value=json_text({"action": "count", "alert": "payments: time-outs 3.2 %, 12 min"})),
        occurred_at=at,
        received_at=at + 40,
        request_id=f"{number:032x}",
        delivery_key=DeliveryKey(f"{number:064x}"),
        callback=json_text(_callback(event_id, message_id, at)),
    )


def events_of(clicks: int, cards: int, first: int) -> Iterator[Event]:
    """Yield clicks on so many cards, in turns, and their marks; the first click has this number."""
    made = [click(number, number % cards) for number in range(first, first + clicks)]
    for at in range(clicks + IN_FLIGHT):
        if at < clicks:
            yield made[at]
        if at >= IN_FLIGHT:
            yield mark(made[at - IN_FLIGHT])


def mark(of: InteractionReceived) -> InteractionAnswered:
    """Return the mark of a click that was answered 5 ms later."""
    return InteractionAnswered(
        event_id=of.event_id,
        app_id=of.app_id,
        tenant_key=of.tenant_key,
        message_id=of.message_id,
        answered_at=of.received_at + 5,
    )


def _callback(event_id: str, message_id: str, at: int) -> dict[str, Any]:
    """Return the decoded body less its tokens, as long as makes the record `CLICK_BYTES`."""
    return {
        "schema": "2.0",
        "header": {
            "event_id": event_id,
            "create_time": str(at * 1000),
            "event_type": "card.action.trigger",
            "tenant_key": TENANT,
            "app_id": APP_ID,
        },
        "event": {"context": {"open_message_id": message_id}, "filler": "-" * _FILLER},
    }


_FILLER = 0
_FILLER = CLICK_BYTES - len(encode(click(0, 0)).value)
