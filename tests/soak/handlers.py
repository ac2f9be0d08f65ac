"""What the clicks of a soak do: each is counted, and every tenth of a card is shown."""

from bench.work import card_showing
from cardwire import App, Card, Decision, Interaction, UpdateCard

SHOWN_EVERY = 10

app = App()


@app.on_action("count")
def count(click: Interaction, card: Card | None) -> Decision:
    """Count one more click of its card."""
    clicks = 1 + (card.state["clicks"] if card is not None else 0)
    shown = [UpdateCard(card_showing(clicks, click.event_id))] if clicks % SHOWN_EVERY == 0 else []
    return Decision(state={"clicks": clicks}, effects=shown)
