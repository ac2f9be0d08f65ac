"""The same story told by `cardwire.testing` and by the worker: both come to the same, and to the same card."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cardwire import testing
from cardwire.testing import Result, click, link, reminder
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import Subject, fact_of
from shared.core.answers import CardAnswer
from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.effects import Effect, RenameChat, UpdateCard, UpdateElement
from shared.core.errors import HandlerError
from shared.core.events import Heard, InteractionReceived, RedriveRequested
from shared.core.ids import AppId, ChatId, MessageId
from shared.core.json_text import json_text
from shared.core.races import Counted, Lost, Won
from tests.support.facts import NOW, TOPICS, changed, records
from tests.unit.worker.test_decide import Direct
from worker.deciding.batch import take
from worker.deciding.decide import decide
from worker.deciding.draft import Draft
from worker.ledger.decided import CardKey, ClaimKey, DeadLetter, Known, Redrivable, Write
from worker.ledger.leased import FaceRow

PART = {"tag": "markdown", "element_id": "a", "content": "new"}
SHARED = {"schema": "2.0", "body": {"elements": [{**PART, "content": "old"}]}}
EXCLUSIVE = {"config": {"update_multi": False}, "elements": []}
CARDS: dict[str, dict[str, Any]] = {"shared": SHARED, "exclusive": EXCLUSIVE, "other": {"elements": []}}
EFFECTS: dict[str, Effect] = {
    **{name: UpdateCard(card) for name, card in CARDS.items()},
    "part": UpdateElement("a", PART),
    "for one": UpdateCard({"elements": []}, audience="ou_ada"),
    "elsewhere": UpdateCard(SHARED, message_id="om_2"),
    "rename": RenameChat("跟进中"),
}
RULES: list[dict[str, Any]] = [{}, {"once": "per_card"}, {"once": "per_user"}, {"quorum": 2}]

Kind = Literal["click", "link", "reminder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One thing that happens to the card.

    Attributes:
        answered: The card that a click is answered with, by its name.
        wants: The effects that are decided, by their names; of a click that loses, too.
        fails: How a handler fails, which a redrive mends.
    """

    kind: Kind = "click"
    who: str = "ou_ada"
    answered: str | None = None
    wants: Sequence[str] = ()
    state: int | None = None
    fails: bool = False


STEPS = st.builds(
    Step,
    kind=st.sampled_from(["click", "click", "click", "link", "reminder"]),
    who=st.sampled_from(["ou_ada", "ou_bob", "ou_cat"]),
    answered=st.sampled_from([None, *CARDS]),
    wants=st.lists(st.sampled_from(list(EFFECTS)), max_size=2),
    state=st.none() | st.integers(0, 1),
    fails=st.booleans(),
)
REDRIVE: Literal["redrive"] = "redrive"
"""The oldest input that failed is decided again, by handlers that are well."""

Story = Sequence[Step | Literal["redrive"]]
STORIES = st.lists(STEPS | st.just(REDRIVE), min_size=1, max_size=7)


def handlers(rule: dict[str, Any], steps: Story, *, well: bool) -> App:
    """Return handlers that do what the step says which an input is called after."""
    app = App()

    def step_of(subject: Subject) -> Step:
        step = steps[int(subject.event_id.partition("/")[0])]
        assert isinstance(step, Step)
        return step

    def decided(subject: Subject, _card: Card | None) -> Decision:
        step = step_of(subject)
        if step.fails and not well:
            raise ValueError
        return Decision(
            effects=[EFFECTS[name] for name in step.wants], state=UNCHANGED if step.state is None else step.state
        )

    def too_late(subject: Subject, _card: Card | None) -> Sequence[Effect]:
        return [EFFECTS[name] for name in step_of(subject).wants]

    def answer(subject: Interaction) -> CardAnswer | None:
        name = step_of(subject).answered
        return CardAnswer(CARDS[name]) if name else None

    rules = {**rule, "lost": too_late} if rule else rule
    app.on_action("press", answer=answer, handler_name="press", **rules)(decided)
    app.on_link_preview(handler_name="link")(decided)
    app.on_reminder("reminder", handler_name="reminder")(decided)
    return app


def subject_of(step: Step, n: int) -> Subject:
    """Return what happens as a test of handlers gives it."""
    match step.kind:
        case "click":
            return click("press", open_id=step.who, event_id=f"{n}")
        case "link":
            return link("https://a/", open_id=step.who, event_id=f"{n}")
        case "reminder":
            return reminder(open_id=step.who, event_id=f"{n}/1/fired")


Told = tuple[str, Card | None]
"""What an input came to, and the card that its handler saw."""


def told_by_tests(rule: dict[str, Any], story: Story, card: Card | None) -> Iterator[Told]:
    """Tell the story as tests of handlers do: each input is given the card that the one before it left."""
    dead: list[Subject] = []
    for n, step in enumerate(story):
        if isinstance(step, Step):
            told = testing.given(handlers(rule, story, well=False), card).when(subject_of(step, n))
            if isinstance(told.decided, HandlerError):
                dead.append(told.interaction)
        elif dead:
            told = testing.given(handlers(rule, story, well=True), card).when(dead.pop(0), redriven=True)
        else:
            continue
        yield came_to(told), told.before
        card = told.card


def came_to(told: Result) -> str:
    """Return what an input came to in the worker's words."""
    match told.decided, told.place:
        case HandlerError(), _:
            return "failed"
        case _, Won():
            return "decided"
        case _, Counted():
            return "counted"
        case _, Lost():
            return "refused"


@dataclass
class Worker:
    """A worker that decides one record at a time, and what its ledger holds."""

    known: Known
    at: int = 0

    def decide(self, fact: Heard | RedriveRequested, app: App) -> str:
        """Decide a record, store what was decided, and return what it came to."""
        batch = take({0: records([fact], offset=self.at)})
        draft = decide(batch, self.known, {fact.app_id: app}, Direct())
        self._store(draft.write({0: self.at}, TOPICS, settle_ms=300))
        self.at += 1
        ((_, decided),) = draft.decisions
        return decided.result

    def _store(self, write: Write) -> None:
        cards = {CardKey(row.app_id, row.message_id): row for row in write.cards}
        dead = {ClaimKey(letter.app_id, letter.event_id): redrivable(letter) for letter in write.dead_letters}
        self.known = replace(
            self.known, cards={**self.known.cards, **cards}, redrivable={**self.known.redrivable, **dead}
        )


def redrivable(letter: DeadLetter) -> Redrivable:
    """Return what the ledger knows of a dead letter that is to be decided again."""
    return Redrivable(redrive=0, interaction=letter.interaction, kind=letter.kind, offset=letter.offset)


def told_by_worker(rule: dict[str, Any], story: Story, face: FaceRow | None) -> Iterator[Told]:
    """Tell the story as the log does: each input is decided from what the ledger holds."""
    worker = Worker(Known(now=NOW, faces={} if face is None else {CardKey(face.app_id, face.message_id): face}))
    dead: list[Heard] = []
    for n, step in enumerate(story):
        fact: Heard
        if isinstance(step, Step):
            app = handlers(rule, story, well=False)
            fact = logged(app, subject_of(step, n))
            seen = Draft(worker.known).card(fact)
            result = worker.decide(fact, app)
            dead += [fact] if result == "failed" else []
        elif dead:
            fact = dead.pop(0)
            seen = Draft(worker.known).card(fact)
            result = worker.decide(redrive_of(fact), handlers(rule, story, well=True))
        else:
            continue
        yield result, seen


def logged(app: App, subject: Subject) -> Heard:
    """Return an input as it lies in the log: with what the gateway answered."""
    fact = fact_of(subject)
    return changed(fact, answer=app.answer_for(fact)) if isinstance(fact, InteractionReceived) else fact


def redrive_of(fact: Heard) -> RedriveRequested:
    """Return the wish that an input which failed is decided again."""
    return RedriveRequested(
        event_id=fact.event_id,
        n=1,
        app_id=fact.app_id,
        tenant_key=fact.tenant_key,
        message_id=fact.message_id,
        requested_at=NOW,
    )


SENT = Card(content_text=json_text(SHARED), chat_id="oc_group", sent_at=NOW)
"""A card that we have sent, and nothing was decided about."""

FACE = FaceRow(
    app_id=AppId("cli_test"), message_id=MessageId("om_card"), chat_id=ChatId("oc_group"), sent_at=NOW,
    sent=SENT.content_text,
)  # fmt: skip

ADA, BOB = Step(who="ou_ada", answered="other"), Step(who="ou_bob", answered="other")


@settings(deadline=None)
@given(st.sampled_from(RULES), STORIES, st.sampled_from([None, SENT]))
@example({"once": "per_card"}, [Step(answered="exclusive", wants=["rename"])], None)
@example({"once": "per_card"}, [Step(state=1), Step(who="ou_bob", wants=["rename"])], None)
@example({"once": "per_card"}, [Step(state=1), BOB, Step(who="ou_cat", answered="exclusive")], None)
@example({"once": "per_card"}, [replace(ADA, fails=True), BOB, REDRIVE], SENT)
@example({"quorum": 2}, [ADA, ADA, BOB, Step(who="ou_cat", wants=["part"])], SENT)
@example({}, [replace(ADA, fails=True), REDRIVE], None)
@example({}, [Step(wants=["rename"]), Step(kind="link", wants=["shared"]), Step(kind="reminder", wants=["part"])], None)
def test_tests_of_handlers_see_the_cards_that_the_worker_shows_to_them(
    rule: dict[str, Any], story: list[Step | Literal["redrive"]], sent: Card | None
) -> None:
    """Whatever happens to a card, in both each input comes to the same, and its handler sees the same card."""
    whole = [*story, Step()]
    by_tests = list(told_by_tests(rule, whole, sent))
    assert list(told_by_worker(rule, whole, FACE if sent else None)) == by_tests
