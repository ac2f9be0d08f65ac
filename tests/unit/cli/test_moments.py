"""What a card's story says to people: in order, each thing once, and what everything waits for."""

from dataclasses import replace
from typing import Any

import pytest

from cardwire.cli.moments import Moment, WaitsFor, card_facts, moments, waits_for
from shared.core.events import EffectOutcome
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, Target, TenantKey
from shared.core.races import Standing as Race
from worker.history.card_history import Buried, CardEffect, CardHistory, CardInput, Standing

DAY = 24 * 60 * 60 * 1000
NOW = 1_750_000_000_000
CARD = Target("message:om_1")


def history(**fields: Any) -> CardHistory:
    """Return a story of which nothing is known but what is given."""
    given: dict[str, Any] = {"standings": {}, "silent_until": {}, **fields}
    return CardHistory(app_id=AppId("cli_a"), message_id=MessageId("om_1"), now=NOW, **given)


def click(event: str = "e1", **fields: Any) -> CardInput:
    """Return a decided click of Ada's."""
    given: dict[str, Any] = {
        "occurred_at": NOW - 500,
        "decided_at": NOW - 400,
        "open_id": OpenId("ou_ada"),
        "handler": "follow_up",
        "result": "decided",
        "reason": None,
        "late": False,
        "redrive": 0,
        **fields,
    }
    return CardInput(event_id=EventId(event), partition=0, offset=0, **given)


def effect(index: int = 1, **fields: Any) -> CardEffect:
    """Return an effect on the card that is due and was never tried."""
    given: dict[str, Any] = {
        "kind": "UpdateCard",
        "target": CARD,
        "eligibility": "after_answer",
        "status": "pending",
        "k": 0,
        "attempts": 0,
        "due": NOW,
        "marked_at": NOW - 350,
        "outcome": None,
        **fields,
    }
    return CardEffect(event_id=EventId("e1"), index=index, audience="*", decided_at=NOW - 400, **given)


def outcome(**fields: Any) -> EffectOutcome:
    """Return an effect's newest outcome."""
    given: dict[str, Any] = {"status": "succeeded", "finished_at": NOW - 10, **fields}
    return EffectOutcome(
        event_id=EventId("e1"),
        app_id=AppId("cli_a"),
        tenant_key=TenantKey("t"),
        index=1,
        k=1,
        kind="UpdateCard",
        target=CARD,
        **given,
    )


def told(of: CardHistory) -> list[tuple[str, str]]:
    """Return what is told, and how."""
    return [(one.what, one.text) for one in moments(of)]


def test_a_story_is_told_in_order_of_time() -> None:
    """Whatever table a fact stands in; what waits comes last."""
    done = effect(status="succeeded", k=1, outcome=outcome())
    of = history(
        sent_at=NOW - DAY,
        chat_id=ChatId("oc_1"),
        inputs=[click()],
        effects=[effect(2, due=NOW + 1), done],
        letters=[Buried(event_id=EventId("e0"), handler="follow_up", reason="deadline", died_at=NOW - 900)],
    )
    assert [
        ("sent", "to oc_1"),
        ("dead_letter", "follow_up: deadline"),
        ("clicked", "by ou_ada → follow_up: decided"),
        ("effect", "UpdateCard 1 of message:om_1: succeeded"),
        ("waiting", "UpdateCard 2 of message:om_1 waits for the person's client to paint the answer"),
    ] == told(of)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"late": True}, "by ou_ada → follow_up: decided (late)"),
        ({"result": "failed", "reason": "deadline"}, "by ou_ada → follow_up: failed (deadline)"),
        ({"handler": None, "result": "ignored"}, "by ou_ada → ignored"),
        ({"redrive": 2}, "by ou_ada → follow_up: decided (redrive 2)"),
        ({"open_id": None}, "by somebody → follow_up: decided"),
    ],
)
def test_a_click_says_who_and_what_came_of_it(given: dict[str, Any], text: str) -> None:
    """In one line."""
    assert [("clicked", text)] == told(history(inputs=[click(**given)]))


def test_a_request_says_who_asked() -> None:
    """Its caller stands in its id."""
    of = history(inputs=[click("req/billing/42", open_id=None, handler=None)])
    assert [("requested", "by billing → decided")] == told(of)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"status": "superseded", "reason": "by e2/1"}, "superseded (by e2/1)"),
        (
            {"status": "failed", "reason": "platform_refused", "code": 230031, "log_id": "L1", "attempts": 2},
            "failed (platform_refused, code 230031: older than 14 days, log id L1)",
        ),
        ({"status": "failed", "reason": "no_usable_answer", "http_status": 502}, "failed (no_usable_answer, HTTP 502)"),
        ({"status": "succeeded", "log_id": "L1", "uses_left": 1}, "succeeded (log id L1, uses left 1)"),
    ],
)
def test_an_outcome_says_why(given: dict[str, Any], text: str) -> None:
    """With what the platform's support asks for, where something went wrong."""
    done = effect(status=given["status"], k=1, outcome=outcome(**given))
    assert [("effect", f"UpdateCard 1 of message:om_1: {text}")] == told(history(effects=[done]))


@pytest.mark.parametrize(
    ("pending", "standing", "reason"),
    [
        (effect(due=NOW + 3000, marked_at=None), None, "answered_mark"),
        (effect(due=NOW + 300), None, "settle_gap"),
        (effect(due=NOW + 9000, k=1), None, "back_off"),
        (effect(due=NOW + DAY, kind="Remind", eligibility="at_once", marked_at=None), None, "its_time"),
        (effect(due=NOW + 3000, eligibility="at_once", marked_at=None), None, "its_time"),
        (effect(due=NOW + 300, eligibility="at_once"), None, "its_time"),
        (effect(due=NOW + 9000, eligibility="at_once", k=1), None, "back_off"),
        (effect(), Standing(leased_until=NOW + 1, paced_until=0), "call_under_way"),
        (effect(), Standing(leased_until=NOW, paced_until=NOW + 200), "pace"),
        (effect(), Standing(leased_until=0, paced_until=0), "worker"),
        (effect(2), None, "earlier_effect"),
    ],
)
def test_what_waits_says_for_what(pending: CardEffect, standing: Standing | None, reason: WaitsFor) -> None:
    """As far as the ledger tells."""
    first = effect(1, due=NOW + 300)
    of = history(effects=[first, pending] if pending.index == 2 else [pending])
    assert reason == waits_for(pending, replace(of, standings={CARD: standing} if standing else {}))


def test_programs_are_told_the_same() -> None:
    """With times as numbers, and no line to take apart."""
    failed = outcome(status="failed", code=230031, log_id="L1")
    (one,) = moments(history(effects=[effect(status="failed", k=1, outcome=failed)]))
    assert (NOW - 10, "e1") == (one.at, one.event_id)
    assert {"kind": "UpdateCard", "status": "failed", "code": 230031, "log_id": "L1", "outcomes": 1}.items() <= (
        one.facts.items()
    )
    (one,) = moments(history(effects=[effect(due=NOW + 9000, k=1)]))
    assert {"waits_for": "back_off", "due": NOW + 9000}.items() <= one.facts.items()


@pytest.mark.parametrize(("card_format", "clickable_days"), [("1.0", 30), ("2.0", 14)])
def test_a_card_that_we_sent_has_an_end(card_format: str, clickable_days: int) -> None:
    """Days of 24 hours after the platform made it (docs/reference/platform.md, "Validity")."""
    facts = card_facts(history(sent_at=NOW, card_format=card_format))
    assert (NOW + clickable_days * DAY, NOW + 14 * DAY) == (facts["clickable_until"], facts["updatable_until"])


def test_an_end_that_depends_on_how_a_card_was_written_is_not_guessed() -> None:
    """Where the log has lost what was sent: all cards can be updated for 14 days, and clicked for 14 or for 30."""
    facts = card_facts(history(sent_at=NOW, card_format=None))
    assert (None, NOW + 14 * DAY) == (facts["clickable_until"], facts["updatable_until"])


def test_a_card_of_unknown_age_has_no_known_end() -> None:
    """Somebody else sent it."""
    facts = card_facts(history())
    assert (None, None) == (facts["clickable_until"], facts["updatable_until"])


def test_nobodys_address_is_told() -> None:
    """A person may be written to by e-mail."""
    of = history(effects=[effect(kind="SendText", target=Target("user:ada@example.com"))])
    (one,) = moments(of)
    assert isinstance(one, Moment)
    assert "example" not in f"{one.text} {one.facts}"


@pytest.mark.parametrize(
    ("status", "k", "tries"),
    [("succeeded", 1, 1), ("succeeded", 41, 41), ("pending", 40, 40), ("superseded", 41, 40), ("refused", 1, 0)],
)
def test_every_try_is_told_whosever_fault_it_was(status: str, k: int, tries: int) -> None:
    """In an outage no attempt is counted against a card, and whoever looks wants to know how often it was tried."""
    ended = outcome(status="failed" if status == "pending" else status, reason="unreachable")
    (one,) = moments(history(effects=[effect(status=status, k=k, outcome=ended)]))
    assert (tries, 0) == (one.facts["tries"], one.facts["attempts"])
    assert (tries > 1) == (f"tried {tries} times" in one.text)


def test_the_standing_of_a_race_is_told() -> None:
    """Who won, and who was counted: people ask for it when they dispute."""
    races = {"approve": Race(winners=(OpenId("ou_b"),), voters=(OpenId("ou_a"), OpenId("ou_b")))}
    facts = card_facts(history(races=races))
    assert {"approve": {"winners": ["ou_b"], "voters": ["ou_a", "ou_b"]}} == facts["races"]
