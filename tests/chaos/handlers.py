"""
What the processes under chaos decide: a counter, easy to check from outside.

Every card shows how often it was clicked and by which event it was changed last, so that a version seen in a chat
can be traced to its click. Every tenth click of a card is also told to the chat, every seventh renames it. One
action is never decided.
"""

import json
from typing import Any, Final

from cardwire import App, Card, Decision, Interaction, RenameChat, SendText, Toast, UpdateCard

TELL_EVERY: Final = 10
RENAME_EVERY: Final = 7

app = App()


@app.on_action("count", answer=Toast.info("已计数"))
def count(click: Interaction, card: Card | None) -> Decision:
    """Count one more click of the card."""
    clicks = (card.state["clicks"] if card is not None and card.state else 0) + 1
    effects: list[UpdateCard | SendText | RenameChat] = [UpdateCard(card_showing(clicks, click.event_id))]
    if clicks % TELL_EVERY == 0:
        effects.append(SendText(text_about(click.event_id, len(effects) + 1)))
    if clicks % RENAME_EVERY == 0:
        effects.append(RenameChat(f"{clicks} clicks, {click.event_id}"))
    return Decision(state={"clicks": clicks}, effects=effects)


@app.on_action("poison", answer=Toast.info("已计数"))
def poison(_click: Interaction, _card: Card | None) -> Decision:
    """Fail, whatever is there."""
    raise ValueError("this action cannot be decided")


def card_showing(clicks: int, event_id: str) -> dict[str, Any]:
    """Return the card for a number of clicks, the last of which was this event."""
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "Count"},
        "value": {"action": "count"},
    }
    return {
        "config": {"update_multi": True},
        "header": {"title": {"tag": "plain_text", "content": f"{clicks} clicks"}},
        "elements": [
            {"tag": "div", "text": {"tag": "plain_text", "content": event_id}},
            {"tag": "action", "actions": [button]},
        ],
    }


def clicks_shown(card: str) -> int:
    """Return the counter that a card (JSON text) shows."""
    title: str = json.loads(card)["header"]["title"]["content"]
    return int(title.split(maxsplit=1)[0])


def event_shown(card: str) -> str:
    """Return the event that a card (JSON text) was changed by last; empty for the card as sent."""
    event: str = json.loads(card)["elements"][0]["text"]["content"]
    return event


def text_about(event_id: str, index: int) -> str:
    """Return the text by which one effect of one event tells the chat: unlike any other."""
    return f"told by {event_id}/{index}"
