"""
Somebody follows up on an alert.

An alert card is posted to a group. A person presses 跟进处理 on it; they see the toast 正在跟进 at once, and the card
and the group's name become 跟进中. It is the story of the tutorial 步骤四：监听消息卡片回调, told by the platform at
https://open.feishu.cn/document/home/message-development-tutorial/monitor-and-interact-with-messages-in-the-group
"""

from typing import Any

from cardwire import App, Card, Decision, Interaction, RenameChat, Toast, UpdateCard

app = App()


@app.on_action("follow_up", answer=Toast.info("正在跟进", en_us="Following up"))
def follow_up(click: Interaction, card: Card | None) -> Decision:
    """Rename the group and turn the card; count the presses, so that nobody's is lost."""
    presses = 1 + (card.state["presses"] if card and card.state else 0)
    return Decision(
        effects=[RenameChat("跟进中"), UpdateCard(following_up_card(click.value.get("alert", ""), presses))],
        state={"presses": presses},
    )


def alert_card(alert: str) -> dict[str, Any]:
    """Return the card that is posted when something breaks."""
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "跟进处理"},
        "type": "primary",
        "value": {"action": "follow_up", "alert": alert},
    }
    return _card("red", "待处理", alert, {"tag": "action", "actions": [button]})


def following_up_card(alert: str, presses: int) -> dict[str, Any]:
    """Return the card of an alert that somebody follows up on; it can be pressed again."""
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": f"跟进中（{presses}）"},
        "type": "default",
        "value": {"action": "follow_up", "alert": alert},
    }
    return _card("orange", "跟进中", alert, {"tag": "action", "actions": [button]})


def _card(colour: str, title: str, text: str, *more: dict[str, Any]) -> dict[str, Any]:
    return {
        "config": {"update_multi": True},
        "header": {"template": colour, "title": {"tag": "plain_text", "content": title}},
        "elements": [{"tag": "div", "text": {"tag": "plain_text", "content": text}}, *more],
    }
