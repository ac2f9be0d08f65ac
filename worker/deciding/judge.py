"""One input judged: the rules in their order, then its handler, and what follows from what that returns."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, assert_never

from msgspec.structs import replace

from shared.app.app import App
from shared.app.handler import Handler
from shared.app.known import check_known
from shared.app.race import meet
from shared.app.subject import subject_of
from shared.app.valid import utf8
from shared.core import races
from shared.core.callers import Callers
from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.effects import Effect, OnCard
from shared.core.errors import HandlerError
from shared.core.events import Asked, Heard, InteractionReceived, PlannedEffect, RequestReceived
from shared.core.folded import ROUTING
from shared.core.ids import AppId
from shared.core.json_text import EpochMs, json_text
from shared.core.races import Counted, Lost, Won
from shared.feishu.callback import APP_TICKET
from shared.feishu.intended import intended, is_about_another_card
from worker.deciding.draft import Draft
from worker.deciding.failing import STANDS_BEHIND
from worker.deciding.grant import UNKNOWN_APP, grant
from worker.deciding.plan import hand_over, plan, plan_answer
from worker.deciding.suspension import is_suspended
from worker.deciding.verdict import Verdict
from worker.ledger.decided import EVERY_APP, HandlerKey
from worker.policy import refuse_click

_T = TypeVar("_T")

STANDS_STILL: Final = Verdict(result="failed", reason=STANDS_BEHIND, parks=True)
"""What becomes of inputs of a card that stands still."""

LATE_MS: Final = 5_000
"""A click this much older than its card's newest decided one no longer repaints the card."""

REASON_CHARS: Final = 1_000
"""How much of a reason is kept."""

TWIN_MS: Final = 600_000
"""A legacy callback within this time of a new-style one of its app is the same click, pushed a second time."""


class MissedDeadline(HandlerError):
    """The handler did not come back in time."""


class Call(Protocol):
    """Calls user code, under deadlines."""

    def __call__(self, step: Callable[[], _T], /) -> _T:
        """
        Return what ``step`` returns.

        Raises:
            MissedDeadline: It did not come back in time.
            HandlerError: It raised this.
        """

    @property
    def spent(self) -> bool:
        """The batch's time for user code is used up: commit what is decided, the rest follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where an input lies.

    Attributes:
        offset: Where it is decided.
        first: Where it was logged, if it failed there and is decided again: then its answer is long over.
    """

    offset: int
    first: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """
    What one interaction is judged by: what is known, whose turn it is, and how user code is called.

    Attributes:
        is_shared: All apps have the same handlers.
        gives_up: Why what is decided of these inputs cannot be kept, if it cannot: then they fail, without effects.
    """

    draft: Draft
    new_style: Mapping[AppId, EpochMs]
    apps: Mapping[AppId, App]
    call: Call
    is_shared: bool
    callers: Callers
    stores: Collection[AppId]
    gives_up: str | None = None

    def on_interaction(self, click: InteractionReceived, place: Place) -> Verdict:
        """Return what becomes of an interaction that is new: the rules in their order, then its handler."""
        if self.gives_up is not None:
            return self._given_up(click, self.gives_up)
        if click.kind == "card_action_v1" and abs(click.received_at - self.new_style.get(click.app_id, 0)) < TWIN_MS:
            return Verdict(result="twin")
        if reason := refuse_click(self.draft.face(click), click.occurred_at):
            return Verdict(result="refused", reason=reason)
        return self.by_handler(click, place)

    def on_request(self, request: RequestReceived, offset: int) -> Verdict:
        """Return what becomes of a request."""
        if self.gives_up is not None:
            return self._given_up(request, self.gives_up)
        if self._stands_still(request):
            return STANDS_STILL
        return grant(
            request,
            self.apps.keys(),
            self.callers,
            offset=offset,
            chat_id=self.draft.chat_of(request),
            stores=self.stores,
            content=self.draft.content(request),
        )

    def by_handler(self, asked: Heard, place: Place) -> Verdict:
        """Return what the handler of an input decides, or why it does not."""
        if self.gives_up is not None:
            return self._given_up(asked, self.gives_up)
        if self._stands_still(asked):
            return STANDS_STILL
        app = self.apps.get(asked.app_id)
        if app is None:
            # A dead letter keeps it whole, so that it can be decided when the worker is told of the app.
            return Verdict(result="failed", reason=UNKNOWN_APP)
        handler = None
        try:
            handler = self._routed(asked, app)
            return _ignored(asked) if handler is None else self._handled(asked, app, handler, place)
        except MissedDeadline:
            self.draft.missed(self._filed(asked, handler))
            return _failed("deadline", asked, handler)
        except HandlerError as error:
            return _failed(str(error), asked, handler)

    def _given_up(self, asked: Asked, reason: str) -> Verdict:
        if self._stands_still(asked):
            return STANDS_STILL
        app = self.apps.get(asked.app_id)
        if app is None or isinstance(asked, RequestReceived):
            return _failed(reason, asked, None)
        try:
            handler = self._routed(asked, app)
        except Exception:  # noqa: BLE001 - this may be what brought it here
            handler = None
        return _failed(reason, asked, handler)

    def _stands_still(self, asked: Asked) -> bool:
        """Say whether an input's card waits for another input to be decided first."""
        first = self.draft.waits_for(asked)
        return first is not None and first != asked.event_id

    def _routed(self, asked: Heard, app: App) -> Handler | None:
        """Find the handler: under deadlines where predicates are asked, for they are user code and may hang."""
        if not app.asks_predicates(asked):
            return app.handler_for(asked)
        if is_suspended(self.draft.suspension(self._filed(asked)), self.draft.now):
            raise HandlerError("suspended")
        handler = self.call(lambda: app.handler_for(asked))
        self.draft.kept(self._filed(asked))
        return handler

    def _filed(self, asked: Heard, handler: Handler | None = None) -> HandlerKey:
        """Return what a handler, or routing, is suspended under."""
        return HandlerKey(EVERY_APP if self.is_shared else asked.app_id, ROUTING if handler is None else handler.name)

    def _handled(self, asked: Heard, app: App, handler: Handler, place: Place) -> Verdict:
        card = self.draft.card(asked)
        met = meet(handler, subject_of(asked), card)
        answer = None
        if isinstance(asked, InteractionReceived) and place.first is None:
            content = card.content_text if card else None
            answer = plan_answer(asked, met.place, content, offset=place.offset)
        decision = Decision() if met.step is None else self._run(asked, app, handler, met.step)
        return self._planned(_came_in(met.place, handler, card), asked, decision, answer, place)

    def _run(self, asked: Heard, app: App, handler: Handler, step: Callable[[], Decision]) -> Decision:
        filed = self._filed(asked, handler)
        if is_suspended(self.draft.suspension(filed), self.draft.now):
            raise HandlerError("suspended")
        decision = self.call(step)
        self.draft.kept(filed)
        check_known(app, handler, decision.effects)
        return decision

    def _planned(
        self,
        verdict: Verdict,
        asked: Heard,
        decision: Decision,
        answer: PlannedEffect | None,
        place: Place,
    ) -> Verdict:
        """Return the verdict with what was decided; ``answer`` is what follows from the card of the click's answer."""
        keeps_state = decision.state is UNCHANGED
        late = self._is_late(asked)
        repaints = not (late and keeps_state)
        wanted = [effect for effect in decision.effects if repaints or not _repaints(effect, asked)]
        # Of a late click, the answer was painted before what the newer ones have shown since.
        first = (answer,) if answer is not None and repaints else ()
        planned = (*first, *self._effects(wanted, asked, place))
        return replace(
            verdict,
            effects=planned,
            requests=tuple(
                hand_over(effect, asked, index=index)
                for index, effect in enumerate(wanted, 1)
                if is_about_another_card(effect, asked)
            ),
            state=None if keeps_state else json_text(decision.state),
            content=intended(planned, self.draft.content(asked)),
            late=late,
        )

    def _is_late(self, asked: Heard) -> bool:
        if not isinstance(asked, InteractionReceived):
            return False  # What came back, or came due, is decided on what newer clicks have left.
        newest = self.draft.newest_at(asked)
        return newest is not None and asked.occurred_at < newest - LATE_MS

    def _effects(self, effects: list[Effect], asked: Heard, place: Place) -> tuple[PlannedEffect, ...]:
        chat_id, answered_at = self.draft.chat_of(asked), self.draft.answered_at(asked)
        return tuple(
            plan(
                effect,
                asked,
                index=index,
                offset=place.offset,
                chat_id=chat_id,
                first_offset=place.first,
                answered_at=answered_at,
            )
            for index, effect in enumerate(effects, 1)
            if not is_about_another_card(effect, asked)
        )


def _came_in(place: races.Place, handler: Handler, card: Card | None) -> Verdict:
    """Return a verdict that says so far where a click came in, of its handler, which saw this card."""
    match place:
        case Won(added=added):
            return Verdict(result="decided", handler=handler, seen=card, added=added)
        case Counted(added=added):
            return Verdict(result="counted", handler=handler, seen=card, added=added)
        case Lost(reason=reason):
            return Verdict(result="refused", handler=handler, seen=card, reason=reason)
        case _ as unreachable:
            assert_never(unreachable)


def _repaints(effect: Effect, asked: Heard) -> bool:
    return isinstance(effect, OnCard) and not is_about_another_card(effect, asked)


def _failed(reason: str, asked: Asked, handler: Handler | None) -> Verdict:
    parks = handler is not None and handler.on_error == "park_card" and asked.message_id is not None
    # A file's name, or a library's words, may be in it: what neither log nor database takes is told in its place.
    shown = utf8(reason).replace("\0", "\N{SYMBOL FOR NULL}")[:REASON_CHARS]
    return Verdict(result="failed", reason=shown, handler=handler, parks=parks)


def _ignored(asked: Heard) -> Verdict:
    is_ticket = isinstance(asked, InteractionReceived) and asked.event_type == APP_TICKET
    return Verdict(result="ignored", reason=APP_TICKET if is_ticket else None)
