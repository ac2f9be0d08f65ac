"""
Somebody releases to everybody, from a card with several such buttons.

A button says what kind it is (``button_type``) and which one (``button_id``). Pressed, your own code releases; then the
card that was stored is changed where that button stands, and nowhere else. What fails changes nothing. It is the story
of the tutorial 设置可交互的消息卡片并发送, told by the platform for its approval cards.
"""

from collections.abc import Sequence
from typing import Any

from cardwire import App, Call, CallFailed, CallResult, Card, Decision, Interaction, Reply, Toast, UpdateCard

app = App(action_key="button_type")


@app.on_action("public_publish", answer=Toast.info("正在发布", en_us="Releasing"))
def public_publish(click: Interaction, card: Card | None) -> Decision:
    """Have it released, once: whoever presses while that is under way is told the same, and nothing more happens."""
    button_id = click.value["button_id"]
    under_way = _under_way(card)
    if button_id in under_way.values():
        return Decision()
    args = {"button_id": button_id, "by": click.operator.open_id}
    return Decision(effects=[Call("publish", args)], state={**under_way, click.event_id: button_id})


@app.call("publish", timeout_s=30, attempts=3)
async def publish(args: dict[str, Any], *, idempotency_key: str) -> dict[str, Any]:
    """Stand for your own release system: asked again under the same key, it must not release twice."""
    if not args["button_id"].isdigit():
        raise CallFailed("there is no such release")
    return {"released": args["button_id"], "key": idempotency_key}


@app.on_result("publish")
def published(result: CallResult, card: Card | None) -> Decision:
    """Change the stored card where the button stood; after a failure leave it, so that it can be pressed again."""
    under_way = _under_way(card)
    button_id = under_way.pop(result.origin, None)
    if result.error is not None or button_id is None:
        return Decision(state=under_way)
    if card is None or card.content is None:
        # Somebody else sent the card, and no callback says what else is on it. So its button stays, people are told
        # below it, and the state, which is left as it is, keeps the button from releasing again.
        return Decision(effects=[Reply(f"「全量发布」已完成：{button_id}")])
    return Decision(effects=[UpdateCard(released_card(card.content, button_id))], state=under_way)


def release_card(button_ids: Sequence[str]) -> dict[str, Any]:
    """Return the card that is sent: a button for each release."""
    return {
        "config": {"update_multi": True},
        "i18n_elements": {"zh_cn": [{"tag": "action", "actions": [_button(each)]} for each in button_ids]},
    }


def released_card(card: dict[str, Any], button_id: str) -> dict[str, Any]:
    """Return the card with 已完成 in place of this button; the others stay."""
    texts = {
        language: [_DONE if _holds(element, button_id) else element for element in elements]
        for language, elements in card["i18n_elements"].items()
    }
    return {**card, "i18n_elements": texts}


_DONE: dict[str, Any] = {
    "tag": "div",
    "fields": [{"is_short": False, "text": {"tag": "lark_md", "content": "已完成"}}],
}


def _button(button_id: str) -> dict[str, Any]:
    return {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "完成「全量发布」"},
        "value": {"button_type": "public_publish", "button_id": button_id},
        "type": "primary",
    }


def _holds(element: dict[str, Any], button_id: str) -> bool:
    return any(action.get("value", {}).get("button_id") == button_id for action in element.get("actions", []))


def _under_way(card: Card | None) -> dict[str, str]:
    """Return which click has which button's release under way."""
    return dict(card.state) if card and card.state else {}
