"""
What to answer: what the handler that a callback belongs to declares, and never a wait for it.

Theory of operation. Most apps route by plain rules and declare their answers; that is a look-up, done where we are, and
what is sent for it was made at start. A predicate, or a function that makes the answer, is user code, which may be slow
or hang, so it is asked in one of a few threads, for a short while. Then the callback is answered with nothing, and a
click is decided by the worker all the same. A thread that hangs is not replaced, or hanging ones would grow in number:
with all of them hanging, callbacks that need user code are answered with nothing at once, until one comes back. A
click waits for an earlier one of its card whose answer is still being chosen, so that the order in which they arrived
is the order in which they are recorded; the earlier one began before, so it is done in time.

Guarantees
    An answer is there within `CAP_S`, and of a shape that the platform takes. Nothing here raises.
    *End of the process*: never waits for a thread.

Known weakness: a thread can be left waiting only while it lets others run. Code that keeps the interpreter's lock
(one regular expression that backtracks for seconds) stops the process for as long as it takes.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import structlog

from shared.app.app import App
from shared.app.handler import Handler
from shared.app.place import place_of
from shared.core.errors import ConfigError, HandlerError
from shared.core.events import CARD_ACTIONS, Answer, InteractionKind, InteractionReceived
from shared.core.ids import MessageId
from shared.feishu.answer import render
from shared.feishu.cards import everybodys
from shared.feishu.validity import fits
from shared.observability.metrics import ANSWERS_DEFAULTED, Metrics

CAP_S: Final = 0.3
"""How long user code may keep a callback waiting: a fraction of the 3 s after which the client shows an error."""

THREADS: Final = 4
"""Enough for user code that is slow now and then; each that spins for good takes a share of the process."""

MAX_WAITING: Final = 1024
"""Callbacks that may wait for a thread."""

MAX_CUSTOM_BYTES: Final = 64 * 1024
"""What a custom body may have; the platform names no limit, but a record must hold it."""

Reason = Literal["late", "failed", "busy"]

_Asked = tuple[Handler, Callable[..., Any]]
"""Whose code was asked last, and which function of it: a predicate, or what makes the answer."""

log = structlog.get_logger("cardwire.gateway")


class Answers:
    """
    Chooses the answers of one app; to be used on one loop.

    Raises:
        ConfigError: An answer that the app declares is too large to be shown.
    """

    def __init__(self, app: App, *, metrics: Metrics, cap_s: float = CAP_S) -> None:
        self._app, self._metrics, self._cap_s = app, metrics, cap_s
        self._ready = _made_ready(app)
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._threads = [_Thread(self._questions) for _ in range(THREADS if app.answers_by_code else 0)]
        self._choosing: dict[MessageId, asyncio.Future[None]] = {}

    async def choose(self, received: InteractionReceived, *, left_s: float) -> Answer:
        """
        Return what to answer: the default where user code is late, raises, returns no answer, or nobody can ask it.

        Clicks of one card get their answers in the order in which they asked.

        Args:
            received: The interaction.
            left_s: What is left of its callback's time (s); at most half of it goes to user code.
        """
        ready = self._app.ready_answer(received)
        card = received.message_id if received.kind in CARD_ACTIONS else None
        earlier = self._choosing.get(card) if card else None
        if ready is not None and earlier is None:
            return ready
        chosen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if card:
            self._choosing[card] = chosen
        try:
            within_s = max(0, min(self._cap_s, left_s / 2))
            answer = await self._asked(received, within_s) if ready is None else ready
            if earlier is not None:
                await asyncio.wait([earlier])
            return answer
        finally:
            chosen.set_result(None)
            if card and self._choosing.get(card) is chosen:
                del self._choosing[card]

    def body(self, answer: Answer, kind: InteractionKind) -> bytes:
        """Return what is sent for an answer that was chosen here."""
        # Known by identity: comparing cards would take as long as writing them.
        return self._ready.get((id(answer), kind)) or render(answer, kind)

    @property
    def hang(self) -> bool:
        """Whether every thread is at a callback that nobody waits for any more."""
        return all(thread.hangs for thread in self._threads)

    def close(self) -> None:
        """Let the threads end when they have nothing more to do. Hanging ones end with the process."""
        for _ in self._threads:
            self._questions.put(None)
        self._threads = []

    async def _asked(self, received: InteractionReceived, within_s: float) -> Answer:
        if self.hang or self._questions.qsize() >= MAX_WAITING:
            return self._default(received, "busy")
        question = _Question(app=self._app, received=received, loop=asyncio.get_running_loop())
        self._questions.put(question)
        try:
            # Not asyncio.timeout: on a busy loop it would call an answer late that is there by now.
            await asyncio.wait([question.answered], timeout=within_s)
        finally:
            question.is_given_up = not question.answered.done()
        if not question.answered.done():
            return self._default(received, "late", asked=question.asked)
        match question.answered.result():
            case Answer() as answer:
                if (unfit := _unfit(answer)) is None:
                    return answer
                return self._default(received, "failed", HandlerError(unfit), asked=question.asked)
            case error:
                return self._default(received, "failed", error, asked=question.asked)

    def _default(
        self,
        received: InteractionReceived,
        reason: Reason,
        error: BaseException | None = None,
        *,
        asked: _Asked | None = None,
    ) -> Answer:
        self._metrics.count(ANSWERS_DEFAULTED, reason)
        log.warning(
            "answer_defaulted",
            reason=reason,
            app_id=received.app_id,
            event_id=received.event_id,
            open_message_id=received.message_id,
            **({} if asked is None else {"handler": asked[0].name, "at": place_of(asked[1], _cause(error))}),
            **({} if error is None else {"error": _named(error)}),
        )
        return Answer()


def _named(error: BaseException) -> str:
    # What user code raised may say what a person typed; our own error says whose code it was, and no more.
    return str(error) if isinstance(error, HandlerError) else type(error).__name__


def _cause(error: BaseException | None) -> BaseException | None:
    """Return what user code raised; our own error is about it."""
    return error.__cause__ or error if isinstance(error, HandlerError) else error


def _made_ready(app: App) -> dict[tuple[int, InteractionKind], bytes]:
    """Return what is sent for the answers that the app declares, by the answer's identity: the app keeps them."""
    made = {}
    for answer, kind in app.ready_answers:
        if (unfit := _unfit(answer)) is not None:
            raise ConfigError(f"CARDWIRE_APP: {unfit}: expected a smaller one, or a toast, as in answer=Toast.info(…)")
        made[id(answer), kind] = render(answer, kind)
    return made


def _unfit(answer: Answer) -> str | None:
    """Say why the platform would refuse an answer that is built right; ``None``: it would not."""
    if answer.card is not None and not fits(everybodys(answer.card)):
        return f"the answer of {answer.rule} has a card larger than the platform's 30 KB"
    if answer.custom is not None and len(answer.custom.body) > MAX_CUSTOM_BYTES:
        return f"the answer of {answer.rule} has a body of more than {MAX_CUSTOM_BYTES} characters"
    return None


@dataclass(slots=True, kw_only=True, eq=False)
class _Question:
    """One callback that user code answers; its answer, or what that code raised, arrives on the loop."""

    app: App
    received: InteractionReceived
    loop: asyncio.AbstractEventLoop
    answered: "asyncio.Future[Answer | BaseException]" = field(init=False)
    is_given_up: bool = False
    asked: _Asked | None = None

    def __post_init__(self) -> None:
        self.answered = self.loop.create_future()

    def ask(self) -> None:
        """Run user code, in a thread."""
        found: Answer | BaseException
        try:
            found = self.app.answer_for(self.received, asking=self._asking)
        except BaseException as error:  # noqa: BLE001 -- user code: one that calls exit() must not end a thread
            found = error
        try:
            self.loop.call_soon_threadsafe(self._settle, found)
        except RuntimeError:
            return  # The loop is closed: nobody waits any more.

    def _asking(self, handler: Handler, function: Callable[..., Any]) -> None:
        self.asked = handler, function

    def _settle(self, found: Answer | BaseException) -> None:
        if not self.answered.done():
            self.answered.set_result(found)


class _Thread:
    """A daemon thread, so that hanging user code does not keep the process from ending."""

    def __init__(self, questions: "queue.SimpleQueue[_Question | None]") -> None:
        self._questions = questions
        self._present: _Question | None = None
        threading.Thread(target=self._serve, name="cardwire-answers", daemon=True).start()

    @property
    def hangs(self) -> bool:
        """Whether it is still at a question that nobody waits for any more."""
        present = self._present
        return present is not None and present.is_given_up

    def _serve(self) -> None:
        while (question := self._questions.get()) is not None:
            if question.is_given_up:
                continue
            self._present = question
            question.ask()
            self._present = None
