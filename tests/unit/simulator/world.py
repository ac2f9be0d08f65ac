"""A platform without HTTP: calls in, answers out, on a clock that tests move."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.clock import ManualClock
from shared.core.ids import AppId, EventId, OpenId, TenantKey
from shared.feishu.limits import Limits
from simulator.answers import Answered, CallbackStyle, Heard, Reaction
from simulator.callbacks import Click, Person
from simulator.clicking import await_answer, close_click, open_click
from simulator.clock import PlatformClock
from simulator.names import Names
from simulator.openapi import ApiAnswer, ApiCall, OpenApi
from simulator.platform import Platform
from simulator.tokens import App

APP_ID = AppId("cli_a1b2c3d4e5f60718")
SECRET = "s3cr3t-not-real"
ALICE = Person(open_id=OpenId("ou_alice"))
BOB = Person(open_id=OpenId("ou_bob"))
DAY_S = 86_400
# A full minute, so that a test knows where the windows begin.
START_MS = 1_750_000_020_000


def card(text: str = "待处理", *, shared: bool = True, **more: Any) -> dict[str, Any]:
    """Return a small card of format 1.0."""
    return {"config": {"update_multi": shared}, "elements": [{"tag": "markdown", "content": text}], **more}


def card_2_0(text: str = "待处理", **more: Any) -> dict[str, Any]:
    """Return a small card of format 2.0."""
    return {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": text}]}, **more}


@dataclass(frozen=True)
class Reply:
    status: int
    code: int
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        """Return the data of a success."""
        assert self.code == 0, self.body
        data = self.body["data"]
        assert isinstance(data, dict)
        return data


class World:
    """One app on one platform, with a token in hand."""

    def __init__(self, limits: Limits | None = None, *, is_store: bool = False) -> None:
        self.clock = ManualClock(START_MS)
        app = App(app_id=APP_ID, app_secret=SECRET, tenant_key=TenantKey("t1"), is_store=is_store)
        self.platform = Platform(app, PlatformClock(self.clock), Names(1), limits or Limits())
        self.openapi = OpenApi(self.platform)
        self.chat = self.platform.new_chat("报警群").chat_id

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        authorization: str | None = "",
        fault: str | None = None,
    ) -> Reply:
        """Make one call; with a valid token unless another ``authorization`` is given."""
        if authorization == "":
            token = self.platform.access_tokens.issue(APP_ID, SECRET, now=self.platform.clock.now())
            authorization = f"Bearer {token.value}"
        call = ApiCall(
            method=method,
            path=f"/open-apis/{path}",
            query=query or {},
            authorization=authorization,
            body=body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode(),
        )
        return reply_of(self.openapi.call(call, fault=fault))

    def send(self, content: Any, *, to: str | None = None, kind: str = "chat_id", **more: Any) -> Reply:
        """Send a card, or a text given as a string."""
        is_text = isinstance(content, str)
        body = {
            "receive_id": to or self.chat,
            "msg_type": "text" if is_text else "interactive",
            "content": json.dumps({"text": content} if is_text else content),
            **more,
        }
        return self.call("POST", "im/v1/messages", body, query={"receive_id_type": kind})

    def ephemeral(self, content: Any, *, person: Mapping[str, str] | None = None, chat: str | None = None) -> Reply:
        """Show a card to one person, Alice unless others are named."""
        body = {"chat_id": chat or self.chat, "msg_type": "interactive", "card": content}
        return self.call("POST", "ephemeral/v1/send", {**body, **(person or {"open_id": ALICE.open_id})})

    def put(self, content: Mapping[str, Any], *, sent_at: int | None = None) -> str:
        """Put a card into the chat that nobody sent by a call."""
        return self.platform.put_card(self.chat, json.dumps(content), sent_at=sent_at).message_id

    def patch(self, message_id: str, content: Any) -> Reply:
        """Update a card by its message id."""
        text = content if isinstance(content, str) else json.dumps(content)
        return self.call("PATCH", f"im/v1/messages/{message_id}", {"content": text})

    def update(self, token: str, content: Any) -> Reply:
        """Update a card with the token of a click."""
        return self.call("POST", "interactive/v1/card/update", {"token": token, "card": content})

    def open_click(self, message_id: str, person: Person = ALICE, style: CallbackStyle = "new") -> Click:
        """Let somebody click; the answer is awaited."""
        click = open_click(self.platform, message_id, operator=person, action=b'{"tag":"button"}', style=style)
        await_answer(self.platform, click, click.event_id)
        return click

    def close_click(self, click: Click, heard: Heard | Any = None) -> Reaction:
        """Answer a click: with what was heard, or with this JSON and status 200."""
        if not isinstance(heard, Heard):
            heard = Answered(status=200, body=json.dumps(heard or {}).encode())
        return close_click(self.platform, click, EventId(click.event_id), heard)

    def shown(self, message_id: str, person: Person = ALICE) -> Any:
        """Return the card that somebody sees."""
        seen = self.platform.message(message_id).seen_by(person.open_id)
        return json.loads(seen.text) if seen is not None else None

    def versions(self, message_id: str) -> list[str]:
        """Return what made each version of a card."""
        return [version.by for version in self.platform.message(message_id).versions]

    def broken(self) -> list[str]:
        """Return the rules that were broken, in order."""
        return [violation.rule for violation in self.platform.judge.violations]


def reply_of(answer: ApiAnswer) -> Reply:
    """Return an answer with its body read."""
    body = json.loads(answer.body)
    return Reply(status=answer.status, code=body["code"], headers=answer.headers, body=body)
