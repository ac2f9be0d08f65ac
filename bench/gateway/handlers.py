"""The handlers of the gateway that is measured: one answer, known at start, as most cards have it."""

from cardwire import App, Card, Interaction, Toast, UpdateCard

app = App()


@app.on_action("follow_up", answer=Toast.info("正在跟进"))
def follow_up(_click: Interaction, _card: Card | None) -> list[UpdateCard]:
    """Say who follows up; never run here, because only a worker runs handlers."""
    return [UpdateCard({"config": {"update_multi": True}, "elements": []})]
