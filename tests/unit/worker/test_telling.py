"""The lines about inputs: whoever reads one finds the app and the card, and what was done."""

import pytest
from structlog.testing import capture_logs

from shared.core.events import Decided
from shared.core.ids import EventId
from tests.support.facts import APP, CARD, NOW, changed, click
from worker.deciding.telling import Telling
from worker.ledger.decided import DeadLetter, Write


@pytest.mark.parametrize(("handler", "event"), [("m.press", "handler_failed"), ("(request)", "request_failed")])
def test_the_line_of_a_failure_names_app_and_card(handler: str, event: str) -> None:
    """They are what `cardwire card` is asked with."""
    letter = DeadLetter(
        app_id=APP,
        event_id=EventId("e1"),
        handler=handler,
        reason="broke",
        interaction=b"{}",
        kind="k",
        message_id=CARD,
    )
    with capture_logs() as lines:
        Telling().told(Write(moves=[], dead_letters=[letter]), [])
    (line,) = lines
    assert (event, APP, "e1", CARD) == (line["event"], line["app_id"], line["event_id"], line["open_message_id"])


@pytest.mark.parametrize(("ticket", "result"), [("t-0", "taken"), (None, "ignored")])
def test_a_ticket_was_taken_though_no_handler_is_for_it(ticket: str | None, result: str) -> None:
    """Who looks whether it came must not read that it was ignored."""
    event = changed(click("e1"), kind="event", app_ticket=ticket)
    decided = Decided(
        event_id=event.event_id,
        app_id=APP,
        tenant_key=event.tenant_key,
        partition=0,
        offset=0,
        result="ignored",
        occurred_at=NOW,
        decided_at=NOW,
    )
    with capture_logs() as lines:
        Telling().decided([(event, decided)], NOW)
    assert [result] == [line["result"] for line in lines]
