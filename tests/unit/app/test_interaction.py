from datetime import UTC, datetime

from cardwire.testing import click, event, link
from shared.app.interaction import Interaction
from shared.core.events import Action, InteractionReceived
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import JsonText


def _received(value: str | None) -> InteractionReceived:
    return InteractionReceived(
        event_id=EventId("e1"),
        kind="card_action",
        app_id=AppId("cli_a"),
        tenant_key=TenantKey("t"),
        message_id=MessageId("om_1"),
        action=Action(value=None if value is None else JsonText(value)),
        occurred_at=1_000,
        received_at=1_735_689_600_123,
    )


def test_now_is_the_time_of_receipt_in_utc() -> None:
    """A handler goes by the gateway's time, not by the claimed time of the click."""
    assert datetime(2025, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC) == Interaction(_received(None)).now


def test_a_value_keeps_what_strict_parsers_refuse() -> None:
    """NUL, half a character, thirty digits: an honest click's value arrives as it was."""
    value = Interaction(_received('{"a":"\\u0000\\ud800","n":123456789012345678901234567890,"f":1e400}')).value
    assert {"a": "\x00\ud800", "n": 123456789012345678901234567890, "f": float("inf")} == value


def test_a_missing_value_is_none() -> None:
    """Components without a value are clicked too."""
    assert Interaction(_received(None)).value is None


def test_changing_a_value_changes_no_later_reading() -> None:
    """Each access parses afresh, so that a handler cannot spoil the click for its second run."""
    interaction = Interaction(_received('{"tags":[]}'))
    interaction.value["tags"].append("spoiled")
    assert {"tags": []} == interaction.value


def test_the_repr_holds_nothing_that_a_person_typed() -> None:
    """An interaction may be logged by accident."""
    assert "private" not in repr(Interaction(_received('{"note":"private"}')))


def test_a_click_says_who_where_and_what() -> None:
    """The properties are the received fact's."""
    interaction = click("approve", open_id="ou_bob", chat_id="oc_x", tag="select_static", option="yes")
    assert OpenId("ou_bob") == interaction.operator.open_id
    assert ChatId("oc_x") == interaction.chat_id
    assert ("select_static", "yes") == (interaction.action.tag, interaction.action.option)
    assert {"action": "approve"} == interaction.value


def test_an_event_has_its_callback_and_no_card() -> None:
    """A subscribed event is about what its body says."""
    approved = event("out_approval", {"user_id": "u1"})
    assert {"event": {"user_id": "u1"}} == approved.callback
    assert (None, None) == (approved.message_id, approved.value)
    assert approved.event_type == "out_approval"


def test_an_event_tells_what_its_document_names() -> None:
    """Without the envelope."""
    assert {"user_id": "u1"} == event("out_approval", {"user_id": "u1"}).event
    assert (None, None) == (click("approve").event, click("approve").url)


def test_a_link_tells_its_address() -> None:
    """And the message that it stands in, once it is sent."""
    typed = link("https://example.com/", message_id=None)
    assert ("https://example.com/", None, "link_preview") == (typed.url, typed.message_id, typed.kind)
