"""
Handlers of a story that time travel goes through again: every way in which something comes to be decided.

Its text is also written into files, as it is or with a branch changed, and travels from there.
"""

from typing import Any

from cardwire import (
    App,
    Call,
    CallResult,
    Card,
    CardAnswer,
    Decision,
    Interaction,
    Remind,
    Reminder,
    RenameChat,
    SendCard,
    SendText,
    UpdateCard,
)

BLANK: dict[str, Any] = {"config": {"update_multi": True}, "elements": []}

app = App()


def counted(card: Card | None) -> int:
    """Return how many clicks a card has counted."""
    return int((card.state or {}).get("n", 0)) if card else 0


@app.on_action("count")
def count(click: Interaction, card: Card | None) -> Decision:
    """Count, on whatever the card shows."""
    n = counted(card) + 1
    shown = card.content if card and card.content else BLANK
    return Decision(state={"n": n, "by": click.operator.open_id}, effects=[UpdateCard({**shown, "n": n})])


def too_late(click: Interaction, card: Card | None) -> list[SendText]:
    """Tell who came too late."""
    return [SendText(f"{click.operator.open_id} was late", to=click.operator.open_id)]


@app.on_action("take", once="per_card", lost=too_late, answer=CardAnswer({**BLANK, "taking": True}))
def take(click: Interaction, card: Card | None) -> Decision:
    """Let the first one take it."""
    return Decision(state={"by": click.operator.open_id}, effects=[UpdateCard({**BLANK, "taken": True})])


@app.on_action("approve", quorum=2)
def approve(click: Interaction, card: Card | None) -> list[UpdateCard | RenameChat]:
    """Approve when two have said so."""
    return [UpdateCard({**BLANK, "voters": list(click.voters)}), RenameChat("approved")]


@app.call("publish")
async def publish(args: Any, *, idempotency_key: str) -> Any:
    """Publish nothing."""
    return {"url": f"https://example.com/{args['n']}"}


@app.on_action("publish")
def ask(click: Interaction, card: Card | None) -> Decision:
    """Have it published."""
    return Decision(state={"stage": "publishing"}, effects=[Call("publish", {"n": click.value["n"]})])


@app.on_result("publish")
def published(result: CallResult, card: Card | None) -> Decision | list[SendText]:
    """Show what came back, on the card or to whoever asked."""
    if card is None:
        return [SendText(result.value["url"], to="ou_boss")]
    return Decision(state={"stage": "published"}, effects=[UpdateCard({**BLANK, "url": result.value["url"]})])


@app.on_event("out_approval")
def approved(event: Interaction, card: Card | None) -> list[Call]:
    """Publish what was approved elsewhere."""
    return [Call("publish", {"n": event.event["instance_code"]})]


@app.on_action("watch")
def watch(click: Interaction, card: Card | None) -> list[Remind]:
    """Look again in an hour."""
    return [Remind(3600, key="escalate")]


@app.on_reminder("escalate")
def escalate(reminder: Reminder, card: Card | None) -> Decision:
    """Escalate."""
    return Decision(state={"escalated": True}, effects=[UpdateCard({**BLANK, "escalated": True})])


@app.on_action("tell")
def tell(click: Interaction, card: Card | None) -> list[UpdateCard]:
    """Change another card, too."""
    return [UpdateCard({**BLANK, "told": True}), UpdateCard({**BLANK, "text": "好"}, click.value["to"])]


@app.on_action("send")
def send(click: Interaction, card: Card | None) -> list[SendCard]:
    """Send a card."""
    return [SendCard({**BLANK, "sent": True, "header": {"title": {"tag": "plain_text", "content": "新"}}})]


@app.on_action("break")
def break_it(click: Interaction, card: Card | None) -> None:
    """Fail."""
    raise RuntimeError(click.operator.open_id)


@app.on_action("press", on_error="park_card")
def press(click: Interaction, card: Card | None) -> Decision:
    """Fail at odd numbers, and stand still."""
    if click.value["n"] % 2:
        raise RuntimeError("odd")
    return Decision(state={"n": click.value["n"]})
