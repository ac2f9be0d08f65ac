"""A recorded history made of values alone, in which every promise was kept: for others to doctor, or to tell."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from shared.core.codec import encode
from shared.core.effects import AnsweredCard, Call, Remind, RenameChat, SendText, StoredEffect, UpdateCard
from shared.core.events import (
    CARD,
    EFFECTS_PER_DECISION,
    NAME,
    TIMER,
    Asked,
    CallReturned,
    Decided,
    EffectOutcome,
    Event,
    InteractionReceived,
    Operator,
    OutcomeStatus,
    Output,
    PlannedEffect,
    RedriveRequested,
    returned_event_id,
)
from shared.core.ids import ChatId, EventId, MessageId, OpenId, Target
from shared.core.json_text import json_text
from shared.core.targets import call_target, chat_target, message_target, timer_target
from shared.eventlog.memory import MemoryLog
from shared.eventlog.partition import partition_of
from shared.eventlog.port import PARTITIONS, TOPICS, NewRecord
from tests.support.facts import APP, CHAT, NOW, TENANT, click, mark, redrive
from tests.support.facts import CARD as CARD_1

HOUR: Final = 3_600_000
STEP: Final = 10_000
"""How far apart clicks are (ms)."""

SETTLE: Final = 300


@dataclass(kw_only=True)
class Recorded:
    """
    A log in the making.

    Attributes:
        at: The time, of all clocks (ms): the next click is a step later.
    """

    interactions: list[Event] = field(default_factory=list)
    outcomes: list[Output] = field(default_factory=list)
    dead: list[Event] = field(default_factory=list)
    at: int = NOW

    def click(
        self, event_id: str, *, answered: bool = True, delivered: bool = True, **fields: Any
    ) -> InteractionReceived:
        """Record a click, and unless told otherwise its mark."""
        self.at += STEP
        clicked = click(event_id, **{"occurred_at": self.at, "received_at": self.at, **fields})
        self.interactions.append(clicked)
        if answered:
            self.interactions.append(mark(clicked, delivered=delivered, answered_at=self.at + 10))
        return clicked

    def place(self, event: Event) -> tuple[int, int]:
        """Return where an input lies."""
        at = next(n for n, one in enumerate(self.interactions) if one is event)
        partition = _partition(event)
        return partition, sum(_partition(one) == partition for one in self.interactions[:at])

    def decide(
        self, asked: Asked, *wanted: PlannedEffect, of: RedriveRequested | None = None, **fields: Any
    ) -> Decided:
        """Record what was decided about an input."""
        partition, offset = self.place(of or asked)
        redriven = 0 if of is None else of.n
        delivery = asked.delivery_key if isinstance(asked, InteractionReceived) else None
        decided = Decided(
            event_id=asked.event_id, app_id=APP, tenant_key=TENANT, message_id=asked.message_id, partition=partition,
            offset=offset, redrive=redriven, delivery_key=delivery, occurred_at=asked.occurred_at,
            effects=tuple(_ordered(one, offset) for one in wanted),
            **{"decided_at": self.at + 20, "result": "decided", "handler": "follow_up", **fields},
        )  # fmt: skip
        self.outcomes.append(decided)
        return decided

    def come(self, decided: Decided, index: int, status: OutcomeStatus = "succeeded", **fields: Any) -> EffectOutcome:
        """Record what became of an effect: of a change of a card, a settle gap after its mark."""
        planned = next(one for one in decided.effects if one.index == index)
        before = [one for one in self.outcomes if _is_of(one, decided, index)]
        at = self.at + 30 + SETTLE + len(before) * 1_000
        called = status in {"succeeded", "failed"}
        given: dict[str, Any] = {
            "k": len({one.k for one in before if isinstance(one, EffectOutcome)}) + 1,
            "target": planned.target,
            "started_at": at if called else None,
            "finished_at": at + 20,
            "marked_at": self.at + 30 if planned.eligibility == "after_answer" else None,
        }
        outcome = EffectOutcome(
            event_id=decided.event_id, app_id=APP, tenant_key=TENANT, message_id=decided.message_id, index=index,
            kind=type(planned.effect).__name__, status=status, **{**given, **fields},
        )  # fmt: skip
        self.outcomes.append(outcome)
        return outcome

    async def log(self) -> MemoryLog:
        """Return the log."""
        event_log = MemoryLog()
        topics = ((TOPICS.interactions, self.interactions), (TOPICS.outcomes, self.outcomes), (TOPICS.dead, self.dead))
        for topic, events in topics:
            await event_log.append([NewRecord.of(topic, encode(event)) for event in events])
        return event_log


def show(index: int = 1, card: str = "follow", message_id: MessageId = CARD_1) -> PlannedEffect:
    """Return a change of the clicked card."""
    effect = UpdateCard({"text": card})
    return _planned(index, effect, message_target(message_id), coalesce=CARD, eligibility="after_answer")


def answer(card: str = "answered") -> PlannedEffect:
    """Return a card that a click was answered with."""
    effect = AnsweredCard(json_text({"text": card}))
    return _planned(0, effect, message_target(CARD_1), coalesce=CARD, eligibility="after_answer")


def rename(index: int = 2) -> PlannedEffect:
    """Return a new name of the chat."""
    return _planned(index, RenameChat("following"), chat_target(CHAT), coalesce=NAME)


def write(index: int = 3) -> PlannedEffect:
    """Return a text that is sent."""
    return _planned(index, SendText("done"), chat_target(CHAT))


def _planned(index: int, effect: StoredEffect, target: Target, **fields: Any) -> PlannedEffect:
    return PlannedEffect(index=index, target=target, order=0, effect=effect, **fields)


def _ordered(planned: PlannedEffect, offset: int) -> PlannedEffect:
    return replace(planned, order=offset * EFFECTS_PER_DECISION + planned.index)


def _partition(event: Event) -> int:
    return partition_of(encode(event).key, PARTITIONS)


def _is_of(output: Output, decided: Decided, index: int) -> bool:
    return isinstance(output, EffectOutcome) and (output.event_id, output.index) == (decided.event_id, index)


def honest() -> Recorded:
    """Return a history with a little of everything that happens in good order, some of it looking suspicious."""
    told = Recorded()
    versions = Counter[str]()

    def decide(clicked: Asked, *wanted: PlannedEffect, **fields: Any) -> Decided:
        versions[str(clicked.message_id)] += 1
        return told.decide(clicked, *wanted, version=versions[str(clicked.message_id)], **fields)

    _plain(told, decide)
    _suspicious(told, decide)
    _races(told, decide)
    _elsewhere(told)
    last = decide(told.click("last"), show())
    told.come(last, 1)
    # A relay that died before it could delete its rows tells them again, byte for byte.
    told.outcomes += told.outcomes[-4:]
    return told


def _plain(told: Recorded, decide: Any) -> None:
    first = decide(told.click("first", delivery_key="d1"), show(), rename(), write())
    for index in (1, 2):
        told.come(first, index)
    told.come(first, 3, sent_message_id=MessageId("om_sent"), sent_at=told.at)
    told.click("first-again", delivery_key="d1")  # the same bytes, under another id: nothing is decided
    retried = decide(told.click("retried"), show())
    told.come(retried, 1, "failed", final=False, reason="rate_limit")
    told.come(retried, 1)
    older = decide(told.click("older"), show())
    newer = decide(told.click("newer"), show())
    told.come(older, 1, "superseded", reason="by newer/1")
    told.come(newer, 1)
    unanswered = decide(told.click("unanswered", answered=False), show())
    told.come(unanswered, 1, started_at=told.at + 3_020, marked_at=None)
    answered = decide(told.click("answered"), answer())
    told.come(answered, 0, started_at=None, reason="answered")
    told.decide(told.click("nobody-cares"), result="ignored", handler=None)


def _suspicious(told: Recorded, decide: Any) -> None:
    """What repeats itself with good reason."""
    failed = told.click("failed")
    told.decide(failed, result="failed", reason="ValueError")
    wish = redrive("failed", 1)
    told.interactions.append(wish)
    told.come(decide(failed, show(), of=wish), 1)
    given_up = decide(told.click("given-up"), show())
    told.come(given_up, 1, "failed", reason="platform_refused")
    told.come(given_up, 1, "failed", final=False, reason="redriven", started_at=None)
    told.come(given_up, 1)
    again = decide(told.click("sent-again"), show())
    told.come(again, 1)
    told.come(again, 1)  # an older call may have overtaken it
    parked = told.click("parked")
    told.dead.append(parked)
    twin = told.click("new-style")
    told.come(decide(twin, show()), 1)
    told.at -= STEP
    told.decide(told.click("legacy", kind="card_action_v1"), result="twin", handler=None)
    told.interactions += told.interactions[:2]  # a gateway that died appended them again


def _races(told: Recorded, decide: Any) -> None:
    once = {"message_id": "om_once"}
    told.come(decide(_by(told, "w1", "ou_1", **once), show(message_id=MessageId("om_once")), winners=("ou_1",)), 1)
    told.decide(_by(told, "w2", "ou_2", **once), result="refused", reason="once_per_card")
    each = {"message_id": "om_each"}
    decide(_by(told, "u1", "ou_1", **each), winners=("ou_1",))
    decide(_by(told, "u2", "ou_2", **each), winners=("ou_2",))
    quorum = {"message_id": "om_quorum"}
    decide(_by(told, "q1", "ou_1", **quorum), result="counted", voters=("ou_1",))
    decide(_by(told, "q2", "ou_2", **quorum), winners=("ou_2",), voters=("ou_2",))


def _by(told: Recorded, event_id: str, who: str, **fields: Any) -> InteractionReceived:
    return told.click(event_id, operator=Operator(open_id=OpenId(who)), **fields)


def _elsewhere(told: Recorded) -> None:
    """An event without a card, what it called, and a reminder."""
    event = told.click("approval", message_id=None, kind="event", answered=False)
    called = _planned(1, Call("publish"), call_target(event.event_id, 1))
    due = told.at + HOUR
    remind = _planned(2, Remind(timedelta(hours=1)), timer_target(event.event_id, "reminder"), coalesce=TIMER, due=due)
    decided = told.decide(event, called, remind)
    told.come(decided, 1, started_at=None)
    told.at += 1_000
    returned = CallReturned(
        event_id=returned_event_id(event.event_id, 1), origin=event.event_id, app_id=APP, tenant_key=TENANT,
        chat_id=ChatId("oc_1"), name="publish", value=json_text("done"), occurred_at=told.at, received_at=told.at,
    )  # fmt: skip
    told.interactions.append(returned)
    told.decide(returned)
    told.come(decided, 2, started_at=None, finished_at=due + 5, reason="reminded")


def of_event(told: Recorded, event_id: str, redrive_n: int = 0) -> Decided:
    """Return what was decided about an event."""
    return next(
        one
        for one in told.outcomes
        if isinstance(one, Decided) and one.event_id == EventId(event_id) and one.redrive == redrive_n
    )
