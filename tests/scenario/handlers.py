"""Handlers that do what a click's value tells, for stories that are about everything but handlers."""

from typing import Any

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import RenameChat, SendCard, SendText, UpdateCard

BLANK: dict[str, Any] = {"config": {"update_multi": True}, "elements": []}
"""A card that shows nothing yet."""

COUNT: dict[str, Any] = {"action": "count"}
"""The value of a button that counts its clicks."""

PATCH = "im.v1.message.patch"
SEND = "im.v1.message.create"
RENAME = "im.v1.chat.update"


def app_of_stories() -> App:
    """Return the handlers ``count``, ``rename``, ``text`` and ``card``."""
    app = App()

    @app.on_action("count")
    def count(click: Interaction, card: Card | None) -> Decision:
        n = counted(card) + 1
        return Decision(state=n, effects=[UpdateCard({**BLANK, "n": n, "by": click.event_id})])

    @app.on_action("rename")
    def rename(click: Interaction, card: Card | None) -> list[RenameChat]:
        return [RenameChat(click.value["name"])]

    @app.on_action("text")
    def text(click: Interaction, card: Card | None) -> list[SendText]:
        return [SendText(f"{click.value['text']} {click.event_id}")]

    @app.on_action("card")
    def send(click: Interaction, card: Card | None) -> list[SendCard]:
        return [SendCard(click.value["card"])]

    return app


def counted(card: Card | None) -> int:
    """Return how many clicks a card has counted so far."""
    return int(card.state or 0) if card else 0
