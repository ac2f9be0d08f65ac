"""The story of following up on an alert: the official SDK makes the signature, and reads our toast."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cardwire.demo import alert_card, app
from tests.interop import sdk
from tests.support.callbacks import click, encrypted, legacy_click, plain
from tests.support.world import ENCRYPTED, LEGACY, TOKEN_ONLY, World, files, world

pytestmark = [pytest.mark.interop, pytest.mark.slow]

VALUE = {"action": "follow_up", "alert": "支付超时率 3.2%"}


class Asked(str):
    """A signature that the SDK compares with its own, and that notes which one that is."""

    __slots__ = ("made",)

    def __ne__(self, other: object) -> bool:
        """Take note, and be equal."""
        self.made = str(other)
        return False

    __hash__ = str.__hash__


def signed_by_the_sdk(server: Any, body: bytes) -> dict[str, str]:
    """Return headers whose signature is what the SDK's verifier computes over these bytes."""
    asked = Asked("")
    headers = {
        "Content-Type": "application/json;charset=utf-8",
        "X-Lark-Request-Timestamp": str(int(time.time())),
        "X-Lark-Request-Nonce": "950646929",
        "X-Lark-Signature": asked,
    }
    status, _ = server(headers, body)
    assert 200 == status
    return {**headers, "X-Lark-Signature": getattr(asked, "made", "")}


def request_for(credentials: Mapping[str, str], app_id: str, message_id: str, chat_id: str) -> tuple[bytes, Any]:
    """Return a click's bytes in the style of these credentials, and the SDK's server for them."""
    key, token = credentials.get("LARK_ENCRYPT_KEY", ""), credentials["LARK_VERIFICATION_TOKEN"]
    if credentials is LEGACY:
        flat = legacy_click(message_id) | {"open_chat_id": chat_id, "action": {"value": VALUE, "tag": "button"}}
        return plain(flat), sdk.legacy(key, token)
    body = click(app_id=app_id, token=token, message_id=message_id, value=VALUE)
    body["event"]["context"]["open_chat_id"] = chat_id
    return (encrypted(body, key=key) if key else plain(body)), sdk.events(key, token)


async def answer_to(running: World, headers: Mapping[str, str], body: bytes) -> bytes:
    """Post a callback to the gateway and return its answer."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.gateway.url}/webhook/card", data=body, headers=headers) as response,
    ):
        assert 200 == response.status
        return await response.read()


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(ENCRYPTED, id="new style, encrypted"),
        pytest.param(TOKEN_ONLY, id="new style, token only"),
        pytest.param(LEGACY, id="legacy"),
    ],
)
async def test_what_the_sdk_signs_is_followed_up_and_what_we_answer_it_reads(
    tmp_path: Path, credentials: Mapping[str, str]
) -> None:
    """The gateway believes the SDK's signature, the SDK understands our toast, card and chat become 跟进中."""
    async with world(files(tmp_path), app, credentials=credentials) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, alert_card("支付超时率 3.2%"))
        body, server = request_for(credentials, running.env["LARK_APP_ID"], message_id, chat_id)
        answered = await answer_to(running, signed_by_the_sdk(server, body), body)
        assert "正在跟进" == sdk.toast_as_read(answered)["toast"]["content"]
        assert json.loads(answered) == sdk.toast_as_read(answered)
        await running.quiet()
        assert "跟进中" == running.simulator.platform.chat(chat_id).name
        assert "跟进中" in str(running.simulator.platform.message(message_id).card)
        await running.check()
