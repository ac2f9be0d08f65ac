"""What outcomes tell of cards, wherever it lies."""

from typing import Any

from shared.core.codec import encode
from shared.core.effects import RenameChat, SendCard
from shared.core.events import EffectOutcome
from shared.core.ids import ChatId, EventId, MessageId, Target
from tests.support.facts import APP, NOW, TENANT
from tests.unit.worker.traveling.facts import decided, file, planned, records
from worker.ledger.decided import CardKey
from worker.traveling.words import SILENCE, Told, Words

SENT = CardKey(APP, MessageId("om_sent"))


def outcome(index: int = 1, **fields: Any) -> EffectOutcome:
    """Return what became of an effect of e1."""
    given: dict[str, Any] = {
        "event_id": EventId("e1"), "app_id": APP, "tenant_key": TENANT, "message_id": MessageId("om_1"),
        "index": index, "k": 1, "kind": "SendCard", "target": Target("chat:oc_1"), "status": "succeeded",
        "finished_at": NOW + 5,
    }  # fmt: skip
    return EffectOutcome(**{**given, **fields})


def test_a_card_that_we_sent_is_known_as_it_was_sent() -> None:
    """Its text lies in the decision, its id and time in the outcome; neither has to come from this reader."""
    plan = planned(SendCard({"n": 1}, to=ChatId("oc_1")), "chat:oc_1")
    with file() as connection:
        Told(connection).learn(records([decided(effects=(plan,))]))
        sent = outcome(sent_message_id=SENT.message_id, sent_at=NOW, chat_id=ChatId("oc_1"))
        Told(connection).learn(records([outcome(finished_at=NOW, status="failed", final=False), sent]))
        words = Told(connection).words(SENT)
        assert SILENCE == Told(connection).words(CardKey(APP, MessageId("om_1")))
    assert (NOW, NOW + 5, '{"n":1}', "oc_1") == (words.sent_at, words.sent_known_at, words.sent, words.chat_id)
    assert "n" not in repr(words).partition("sent_at")[2]


def test_a_chat_that_was_asked_for_is_known_from_then_on() -> None:
    """Another chat that was renamed says nothing of the card's."""
    asked = planned(RenameChat("x"), "chat-of:om_1")
    other = planned(RenameChat("x", chat_id=ChatId("oc_2")), "chat:oc_2", index=2)
    with file() as connection:
        told = Told(connection)
        told.learn(records([decided(effects=(asked, other)), outcome(2, chat_id=ChatId("oc_2"))]))
        assert SILENCE == told.words(CardKey(APP, MessageId("om_1")))
        told.learn(records([outcome(1, chat_id=ChatId("oc_1"))]))
        assert Words(chat_id=ChatId("oc_1"), chat_known_at=NOW + 5) == told.words(CardKey(APP, MessageId("om_1")))


def test_decisions_about_what_came_back_to_no_card_are_found_from_elsewhere() -> None:
    """They lie under their own id, and what they decide under that of the interaction with which it began."""
    returned = EventId("e1/1/returned")
    lying = decided(returned, message_id=None)
    about_a_card = decided(EventId("e2/1/returned"))
    with file() as connection:
        told = Told(connection)
        told.learn(records([lying, about_a_card, decided("e3", message_id=None)]))
        assert lying == told.stray(APP, returned)
        assert [None, None] == [told.stray(APP, event_id) for event_id in ("e2/1/returned", "e3")]
    assert encode(lying).key == f"{APP}:{returned}"


def test_what_tells_nothing_is_not_even_decoded() -> None:
    """Most outcomes are updates of cards."""
    with file() as connection:
        told = Told(connection)
        (plain,) = records([outcome(kind="UpdateCard")])
        told.learn(
            [type(plain)(topic="t", partition=0, offset=0, key="k", value=b"{", headers=plain.headers, timestamp=0)]
        )
