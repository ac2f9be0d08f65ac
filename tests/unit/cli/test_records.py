"""What of a record is shown to people, and what to programs."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from cardwire.cli.records import TOKENS, cloud_event, line
from shared.core.answers import Inline
from shared.core.cards import Toast
from shared.core.codec import RECORD_TYPES
from shared.core.effects import RenameChat, SendText, UpdateCard
from shared.core.events import (
    Action,
    Answer,
    CallReturned,
    Decided,
    EffectOutcome,
    Event,
    InteractionReceived,
    Operator,
    PlannedEffect,
    RequestReceived,
    TimerFired,
)
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import json_text
from shared.core.secret import HIDDEN
from shared.core.targets import chat_target, user_target
from shared.eventlog.port import Record
from tests.support.facts import APP, NOW, TENANT, click, mark, record, redrive

TYPED = "what-somebody-typed-5b1e"
TOKEN = "c-a-token-77aa"

COMMON: Mapping[str, Any] = {"app_id": APP, "tenant_key": TENANT, "message_id": MessageId("om_1")}

CLICK = click(
    action=Action(
        tag="button", name="submit", value=json_text({"action": TYPED}), form_value=json_text({"note": TYPED}),
        input_value=TYPED, option=TYPED, options=(TYPED,), timezone=TYPED,
    ),
    card_token=TOKEN,
    preview_token=TOKEN,
    app_ticket=TOKEN,
    url=f"https://example.com/{TYPED}",
    callback=json_text({"event": {"action": {"form_value": TYPED}}}),
    answer=Answer(rule="follow_up", toast=Toast.info(TYPED), card=json_text({"a": TYPED}), inline=Inline(title=TYPED)),
)  # fmt: skip
DECIDED = Decided(
    **COMMON,
    event_id=EventId("e1"),
    partition=3,
    offset=7,
    result="failed",
    reason="ValueError",
    handler="follow_up",
    version=4,
    state=json_text({"note": TYPED}),
    content=json_text({"a": TYPED}),
    open_id=OpenId("ou_1"),
    occurred_at=NOW,
    decided_at=NOW,
    effects=(
        PlannedEffect(index=1, target=chat_target(ChatId("oc_1")), order=1, effect=RenameChat(TYPED)),
        PlannedEffect(index=2, target=user_target(f"{TYPED}@example.com"), order=2, effect=SendText(TYPED, to="oc_1")),
    ),
)
EVENTS: list[tuple[Event, str]] = [
    (CLICK, "submit by ou_1, answered by follow_up"),
    (mark(CLICK), "delivered"),
    (mark(CLICK, delivered=False), "not delivered"),
    (redrive("e1", 2), "redrive 2"),
    (
        RequestReceived(
            **COMMON, event_id=EventId("req/billing/1"), caller="billing", request_id="1",
            effects=(UpdateCard({"a": TYPED}),), occurred_at=NOW, received_at=NOW,
        ),
        "by billing: 1 effect",
    ),
    (
        CallReturned(
            **COMMON, event_id=EventId("e1/1/returned"), origin=EventId("e1"), operator=Operator(), name="publish",
            value=json_text(TYPED), occurred_at=NOW, received_at=NOW,
        ),
        "publish came back",
    ),
    (
        CallReturned(
            **COMMON, event_id=EventId("e1/1/returned"), origin=EventId("e1"), name="publish", error=TYPED,
            occurred_at=NOW, received_at=NOW,
        ),
        "publish failed",
    ),
    (
        TimerFired(
            **COMMON, event_id=EventId("e1/1/fired"), origin=EventId("e1"), key="escalate", due=NOW, occurred_at=NOW,
            received_at=NOW,
        ),
        "escalate",
    ),
    (DECIDED, "follow_up: failed (ValueError), version 4, 2 effects"),
    (
        EffectOutcome(
            **COMMON, event_id=EventId("e1"), index=1, k=2, kind="SendText", status="failed", final=False, code=230002,
            reason="refused by the platform", target=user_target(f"{TYPED}@example.com"), finished_at=NOW,
        ),
        "SendText 1 of user (refused by the platform), code 230002, tried again",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "words"), EVENTS)
def test_a_line_says_what_happened_in_a_few_words(event: Event, words: str) -> None:
    """When, what, which card, which id; nothing that somebody typed, and no token."""
    found = record(event)
    told = re.split(r" {2,}", line(found))
    assert words == told[-1]
    headers = dict(found.headers)
    assert headers["ce_id"].decode() in told
    assert headers["ce_subject"].decode() in told
    assert headers["ce_time"].decode().replace("T", " ") == told[0]
    assert TYPED not in line(found)
    assert TOKEN not in line(found)


def test_every_type_of_record_is_told_of() -> None:
    """Outcomes of effects are alike, whatever their status."""
    told = {dict(record(event).headers)["ce_type"].decode() for event, _ in EVENTS}
    alike = {name for name in RECORD_TYPES if ".effect." in name}
    assert set(RECORD_TYPES) - alike == told - alike


@pytest.mark.parametrize("event", [event for event, _ in EVENTS])
def test_programs_are_given_whole_cloud_events_less_what_people_typed(event: Event) -> None:
    """Ids, times, numbers and results are there; what is hidden is said to be."""
    found = record(event, partition=3, offset=7)
    told = cloud_event(found, show_values=False)
    assert (TYPED in json.dumps(told), TOKEN in json.dumps(told)) == (False, False)
    assert {"specversion", "id", "type", "source", "subject", "time", "datacontenttype", "data"} <= told.keys()
    assert f"{found.topic}/3/7" == told["logplace"]
    assert (found.key, event.event_id) == (told["partitionkey"], told["data"]["event_id"])


@pytest.mark.parametrize("event", [event for event, _ in EVENTS])
def test_who_asks_for_values_is_given_all_but_tokens(event: Event) -> None:
    """The data is what was recorded, less the tokens."""
    found = record(event)
    told = cloud_event(found, show_values=True)
    assert TOKEN not in json.dumps(told)
    recorded = json.loads(found.value)
    assert {name: part for name, part in recorded.items() if name not in TOKENS} == told["data"]


def test_what_is_hidden_of_a_decision_and_what_is_not() -> None:
    """Effects are told by their kind, addresses of people are not told."""
    data = cloud_event(record(DECIDED), show_values=False)["data"]
    assert (HIDDEN, HIDDEN, "failed", 4, 3, 7) == tuple(
        data[name] for name in ("state", "content", "result", "version", "partition", "offset")
    )
    assert [{"kind": "RenameChat"}, {"kind": "SendText"}] == [one["effect"] for one in data["effects"]]
    assert ["chat:oc_1", "user"] == [one["target"] for one in data["effects"]]


def _made(ce_type: str, value: bytes) -> Record:
    return Record(
        topic="t", partition=0, offset=0, key="k", value=value, headers=(("ce_type", ce_type.encode()),), timestamp=NOW
    )


@pytest.mark.parametrize(
    ("ce_type", "value", "words"),
    [
        ("lark.card.interaction.received.v2", TYPED.encode(), "newer than this program"),
        ("lark.card.interaction.received.v1", TYPED.encode(), "nobody can read it"),
        ("lark.card.interaction.received.v1", b"[]", "nobody can read it"),
        ("com.example.other", json.dumps({"card_token": TOKEN, "a": TYPED}).encode(), "nobody can read it"),
    ],
)
def test_what_cannot_be_read_is_told_of_without_its_data(ce_type: str, value: bytes, words: str) -> None:
    """Nobody knows which of it is a token."""
    found = _made(ce_type, value)
    assert line(found).endswith(words)
    told = json.dumps([cloud_event(found, show_values=each) for each in (False, True)])
    assert (TYPED in told, TOKEN in told) == (False, False)


def test_nothing_in_a_line_moves_a_cursor() -> None:
    """Ids come from outside."""
    event = click("e\x1b[2J", message_id="om_\r1")
    assert line(record(event)).isprintable()


def test_a_click_of_an_event_is_told_by_its_type() -> None:
    """What was not clicked has no button."""
    event = InteractionReceived(
        event_id=EventId("e1"), kind="event", app_id=AppId("cli_a"), tenant_key=TenantKey("t"),
        event_type="out_approval", occurred_at=NOW, received_at=NOW,
    )  # fmt: skip
    assert line(record(event)).endswith("-  e1  out_approval by somebody, answered by default")
