"""One click, many texts: work for the part of a worker that calls."""

from cardwire import App, Card, Interaction, SendText, Toast

TEXTS = 20

app = App()


@app.on_action("many", answer=Toast.info("已计数"))
def many(click: Interaction, card: Card | None) -> list[SendText]:
    """Tell the chat something, often."""
    return [SendText(f"{click.event_id}/{number}") for number in range(TEXTS)]
