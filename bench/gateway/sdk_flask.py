"""
The yardstick (b): the platform's Python SDK behind Flask and gunicorn, as its documents show it. Stores nothing.

Never run with our own interpreter: lark-oapi, Flask and gunicorn have an environment of their own.
"""
# mypy: ignore-errors

import os

from flask import Flask
from lark_oapi.adapter.flask import parse_req, parse_resp
from lark_oapi.core.enum import LogLevel
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTrigger, P2CardActionTriggerResponse
from lark_oapi.event.dispatcher_handler import EventDispatcherHandler

app = Flask(__name__)


def follow_up(_event: P2CardActionTrigger) -> P2CardActionTriggerResponse:
    """Answer with the toast."""
    return P2CardActionTriggerResponse({"toast": {"type": "info", "content": "正在跟进"}})


handler = (
    EventDispatcherHandler.builder(
        os.environ["LARK_ENCRYPT_KEY"], os.environ["LARK_VERIFICATION_TOKEN"], LogLevel.ERROR
    )
    .register_p2_card_action_trigger(follow_up)
    .build()
)


@app.post("/webhook/card")
def card() -> object:
    """Let the SDK do it."""
    return parse_resp(handler.do(parse_req()))
