"""
`App`: what a handlers module declares.

Both processes load it: the worker to decide, the gateway to know what to answer and which events to record.
Nothing here runs a handler (see `shared.app.decide`), reads a clock or does I/O.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any, Final, Literal, NoReturn, TypeVar, assert_never

from shared.app.answering import AnswerFunction
from shared.app.calls import ATTEMPTS, TIMEOUT_S, CallFunction, RegisteredCall, make_call
from shared.app.handler import Function, Handler, OnError, make_answerer, make_handler
from shared.app.interaction import Interaction
from shared.app.race import declared_rule
from shared.app.routing import ClickRule, EventRule, LinkRule, Predicate, ReminderRule, ResultRule, action_of
from shared.app.valid import NAME_CHARS
from shared.core.answers import CardAnswer, CustomAnswer, Preview
from shared.core.cards import Toast
from shared.core.errors import ConfigError, HandlerError
from shared.core.events import (
    CARD_ACTIONS,
    Answer,
    CallReturned,
    Heard,
    InteractionKind,
    InteractionReceived,
    TimerFired,
)

_F = TypeVar("_F", bound=Function)
_A = TypeVar("_A", bound=AnswerFunction)
_C = TypeVar("_C", bound=CallFunction)

LINKS: Final = frozenset[InteractionKind]({"link_preview"})

NO_ANSWER: Final = Answer()
"""Nothing is shown."""

Asking = Callable[[Handler, Callable[..., Any]], None]
"""Told whose code is run next, and which function of theirs: the answer's, or a predicate."""


class PredicateFailed(HandlerError):
    """
    A predicate raised; the cause is what it raised.

    Attributes:
        handler: Whose predicate it is.
    """

    def __init__(self, handler: Handler, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__} in the predicate of {handler.name}")
        self.handler = handler
        self.error = error


class App:
    """
    The handlers of one deployment.

    ::

        app = App()

        @app.on_action("follow_up", answer=Toast.info("正在跟进"))
        def follow_up(click: Interaction, card: Card | None):
            return [RenameChat("跟进中")]

    Args:
        action_key: Which key of a button's ``value`` object names the action.
    """

    def __init__(self, *, action_key: str = "action") -> None:
        if not _text("action_key", action_key):
            raise ConfigError(
                'App(action_key=…): expected the key that names the action, as in App(action_key="action")'
            )
        self.action_key = action_key
        self._clicks: list[tuple[ClickRule, Handler]] = []
        self._links: list[tuple[LinkRule, Handler]] = []
        self._events: list[tuple[EventRule, Handler]] = []
        self._results: list[tuple[ResultRule, Handler]] = []
        self._reminders: list[tuple[ReminderRule, Handler]] = []
        self._calls: list[RegisteredCall] = []

    def on_action(
        self,
        match: str | Predicate | None = None,
        *,
        tag: str | None = None,
        name: str | None = None,
        answer: Toast | CardAnswer | CustomAnswer | AnswerFunction | None = None,
        handler_name: str | None = None,
        once: Literal["per_card", "per_user"] | None = None,
        quorum: int | None = None,
        lost: Function | None = None,
        on_error: OnError = "go_on",
    ) -> Callable[[_F], _F]:
        """
        Register a handler for clicks. The most specific rule wins: see `shared.app.routing` for the order.

        Args:
            match: The action (``value["action"]``, or the value itself where it is a string), or a predicate.
            tag: The component's tag, as ``button``.
            name: The component's name.
            answer: What the person sees at once, before anything is decided: a toast, another card, a status and
                body of your own, or a function of the click that returns one of these or ``None``. The function is
                given 0.3 s; without an answer by then, nothing is shown.
            handler_name: Stable name; without it, the function's qualified name.
            once: Decide only the first click on each message (``per_card``), or of each person there (``per_user``).
            quorum: Decide only the click of so many different people on a message: earlier ones are counted.
            lost: Decides what happens for clicks that come too late by `once` or `quorum`: a function like a handler,
                that returns no state.
            on_error: What a failure holds up: nothing (``go_on``), or its card (``park_card``): later inputs of that
                card are kept, too, until they are redriven in their order.

        Raises:
            ConfigError: An argument is of the wrong type, or the function cannot be a handler.
        """
        race = declared_rule(once, quorum)
        if lost is not None and race is None:
            raise ConfigError('lost= is for clicks that lose: expected once= or quorum= too, as in once="per_card"')
        rule = ClickRule(
            predicate=match if callable(match) else None,
            action=None if callable(match) else _text("match", match),
            name=_text("name", name),
            tag=_text("tag", tag),
        )

        def register(function: _F) -> _F:
            handler = make_handler(function, name=_text("handler_name", handler_name), answer=answer, on_error=on_error)
            late = None if lost is None else make_handler(lost, name=handler.name)
            self._clicks.append((rule, replace(handler, rule=race, lost=late)))
            # Stable: predicates keep the order in which they were registered.
            self._clicks.sort(key=lambda entry: entry[0].specificity, reverse=True)
            return function

        return register

    def on_link_preview(
        self,
        prefix: str | None = None,
        *,
        answer: Preview | CustomAnswer | AnswerFunction | None = None,
        handler_name: str | None = None,
    ) -> Callable[[_F], _F]:
        """
        Register a handler that decides when a link is shown; the longest prefix wins.

        The link is answered first. A crash right behind the answer may lose its record: the platform asks again
        whenever somebody else opens the chat.

        Args:
            prefix: How the link begins, as ``https://alerts.example.com/``; without one, every link.
            answer: What it is shown as: a preview, or a function of the link that returns one, as for `on_action`.
            handler_name: Stable name; without it, the function's qualified name.

        Raises:
            ConfigError: An argument is of the wrong type, or the function cannot be a handler.
        """
        rule = LinkRule(prefix=_text("prefix", prefix))

        def register(function: _F) -> _F:
            name = _text("handler_name", handler_name)
            self._preview(rule, make_handler(function, name=name, answer=answer, asked="link"))
            return function

        return register

    def answer_link_preview(self, prefix: str | None = None, *, handler_name: str | None = None) -> Callable[[_A], _A]:
        """
        Register a function that says what a link is shown as, where there is nothing to decide: nothing is recorded.

        It is given 0.3 s; ``None``, or no answer by then, leaves the link as it is.

        Raises:
            ConfigError: An argument is of the wrong type, or the function takes anything but the link.
        """
        rule = LinkRule(prefix=_text("prefix", prefix))

        def register(function: _A) -> _A:
            self._preview(rule, make_answerer(function, name=_text("handler_name", handler_name)))
            return function

        return register

    def on_event(self, event_type: str, *, handler_name: str | None = None) -> Callable[[_F], _F]:
        """
        Register a handler for a subscribed event, as ``out_approval``. Events without a handler are not recorded.

        Raises:
            ConfigError: The type is not a text, or the function cannot be a handler.
        """
        wanted = _text("event_type", event_type)
        if wanted is None:
            raise ConfigError('on_event(…): expected the event\'s type, as in on_event("out_approval")')

        def register(function: _F) -> _F:
            handler = make_handler(function, name=_text("handler_name", handler_name))
            self._events.append((EventRule(event_type=wanted), handler))
            return function

        return register

    def call(self, name: str, *, timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS) -> Callable[[_C], _C]:
        """
        Register an asynchronous function of your own that the effect `Call` calls, in the worker.

        It is called at least once, on a loop of its own: again after a crash or a failure, with the same
        ``idempotency_key``. What it returns, at most 64 KB of JSON, comes to `on_result`; so does the reason, once it
        has failed as often as it may be tried.

        Args:
            name: What `Call` and `on_result` know it by.
            timeout_s: How long one attempt may take, in seconds.
            attempts: How often it is tried, with growing waits in between.

        Raises:
            ConfigError: An argument is of the wrong type, or the function does not take ``(args, *, idempotency_key)``.
        """
        known = _needed("call", "name", name, "publish")

        def register(function: _C) -> _C:
            self._calls.append(make_call(function, name=known, timeout_s=timeout_s, attempts=attempts))
            return function

        return register

    def on_result(
        self, name: str, *, on_error: OnError = "go_on", handler_name: str | None = None
    ) -> Callable[[_F], _F]:
        """
        Register a handler ``(result: CallResult, card)`` for what a `Call`, `FetchChat`, … of this name brought back.

        Raises:
            ConfigError: The name is not a text, or the function cannot be a handler.
        """
        rule = ResultRule(name=_needed("on_result", "name", name, "publish"))

        def register(function: _F) -> _F:
            name = _text("handler_name", handler_name)
            self._results.append((rule, make_handler(function, name=name, on_error=on_error)))
            return function

        return register

    def on_reminder(
        self, key: str = "reminder", *, on_error: OnError = "go_on", handler_name: str | None = None
    ) -> Callable[[_F], _F]:
        """
        Register a handler ``(reminder: Reminder, card)`` for the reminders of this key.

        It decides on the card as it is then: whoever cancelled at that very moment may have been too late.

        Raises:
            ConfigError: The key is not a text, or the function cannot be a handler.
        """
        rule = ReminderRule(key=_needed("on_reminder", "key", key, "escalate"))

        def register(function: _F) -> _F:
            name = _text("handler_name", handler_name)
            self._reminders.append((rule, make_handler(function, name=name, on_error=on_error)))
            return function

        return register

    def registered_call(self, name: str) -> RegisteredCall | None:
        """Return the function that `Call` of this name calls, if there is one."""
        return next((call for call in self._calls if call.name == name), None)

    def has_result(self, name: str) -> bool:
        """Say whether anybody waits for what calls of this name bring back."""
        return any(rule.name == name for rule, _ in self._results)

    def has_reminder(self, key: str) -> bool:
        """Say whether anybody waits for reminders of this key."""
        return any(rule.key == key for rule, _ in self._reminders)

    def handler_for(self, heard: Heard) -> Handler | None:
        """
        Return the handler that decides an input, or ``None`` if there is none.

        Never raises: a predicate that raises takes the click for its handler, and running that handler fails with
        the predicate's error, so that the click is kept as a failure and no less specific handler takes it.
        """
        match heard:
            case CallReturned():
                return next((handler for rule, handler in self._results if rule.name == heard.name), None)
            case TimerFired():
                return next((handler for rule, handler in self._reminders if rule.key == heard.key), None)
            case InteractionReceived():
                return self._interaction_handler(heard)
            case _ as unreachable:
                assert_never(unreachable)

    def _interaction_handler(self, received: InteractionReceived) -> Handler | None:
        match received.kind:
            case "card_action" | "card_action_v1":
                try:
                    return self._click_handler(Interaction(received))
                except PredicateFailed as failed:
                    return _failing(failed)
            case "event":
                return next((handler for rule, handler in self._events if rule.event_type == received.event_type), None)
            case "link_preview":
                handler = self._link_handler(received)
                return handler if handler is not None and handler.decides else None
            case _ as unreachable:
                assert_never(unreachable)

    def answer_for(self, received: InteractionReceived, *, asking: Asking | None = None) -> Answer:
        """
        Return what to answer: what the handler declares, under its name, else the default. May run user code.

        Args:
            received: What is answered.
            asking: Told whose code is run, before it is.

        Raises:
            PredicateFailed: A predicate raised.
            AnswerFailed: The function that makes the answer raised, or returned what cannot be answered.
        """
        if received.kind == "event":
            return NO_ANSWER
        seen = Interaction(received)
        is_link = received.kind == "link_preview"
        handler = self._link_handler(received) if is_link else self._click_handler(seen, asking)
        if handler is None:
            return NO_ANSWER
        if asking is not None and callable(handler.answer):
            asking(handler, handler.answer)
        return handler.answer_to(seen)

    def ready_answer(self, received: InteractionReceived) -> Answer | None:
        """Return what to answer where no user code has to be asked; ``None`` where it has, see `answer_for`."""
        match received.kind:
            case "card_action" | "card_action_v1":
                return self._ready_for_click(Interaction(received))
            case "link_preview":
                return _ready(self._link_handler(received))
            case "event":
                return NO_ANSWER
            case _ as unreachable:
                assert_never(unreachable)

    @property
    def ready_answers(self) -> Iterator[tuple[Answer, InteractionKind]]:
        """The answers that need no user code, and the kinds of callback that they may answer."""
        of: list[tuple[Handler, Collection[InteractionKind]]] = [(handler, CARD_ACTIONS) for _, handler in self._clicks]
        of += [(handler, LINKS) for _, handler in self._links]
        for handler, kinds in of:
            if isinstance(handler.answer, Answer):
                yield from ((handler.answer, kind) for kind in kinds)

    @property
    def shows_cards(self) -> bool:
        """Whether a click may be answered with a card."""
        answers = [handler.answer for _, handler in self._clicks]
        return any(answer.card is not None if isinstance(answer, Answer) else answer is not None for answer in answers)

    @property
    def answers_by_code(self) -> bool:
        """Whether any answer takes user code: a predicate to find it, or a function that makes it."""
        handlers = [handler for _, handler in [*self._clicks, *self._links]]
        return self.has_predicates or any(callable(handler.answer) for handler in handlers)

    @property
    def has_predicates(self) -> bool:
        """Whether any rule has a predicate."""
        # They go first.
        return bool(self._clicks) and self._clicks[0][0].predicate is not None

    def asks_predicates(self, heard: Heard) -> bool:
        """
        Say whether finding the handler of an interaction runs user code, which may be slow or hang.

        It does for a click that is all that a rule with a predicate names besides; where this says no, plain rules
        alone find the handler.
        """
        if not isinstance(heard, InteractionReceived) or heard.kind not in CARD_ACTIONS or not self.has_predicates:
            return False
        click = Interaction(heard)
        action = action_of(click, self.action_key)
        return any(rule.predicate is not None and rule.names(click, action) for rule, _ in self._clicks)

    def wants_event(self, event_type: str) -> bool:
        """Say whether events of a type have a handler, so that they are worth recording."""
        return any(rule.event_type == event_type for rule, _ in self._events)

    def check(self) -> None:
        """
        Refuse handlers that contradict each other.

        Raises:
            ConfigError: Two rules are equal, or two functions have one name; one line for each.
        """
        registered = [*self._clicks, *self._links, *self._events, *self._results, *self._reminders]
        problems = [
            f"{one.name} and {other.name} are both registered with {rule}: expected one handler for each"
            for (rule, one), (same, other) in combinations(registered, 2)
            if rule == same
        ]
        problems += [
            f"two handlers are called {one.name}: give one of them another name, as in handler_name='{one.name}_2'"
            for (_, one), (_, other) in combinations(registered, 2)
            if one.name == other.name and one.function is not other.function
        ]
        problems += [
            f"{call} is registered twice: expected one function for each name"
            for number, call in enumerate(self._calls)
            if any(call.name == other.name for other in self._calls[:number])
        ]
        if problems:
            raise ConfigError("\n".join(problems))

    def _preview(self, rule: LinkRule, handler: Handler) -> None:
        self._links.append((rule, handler))
        self._links.sort(key=lambda entry: entry[0].specificity, reverse=True)

    def _link_handler(self, received: InteractionReceived) -> Handler | None:
        return next((handler for rule, handler in self._links if rule.names(received.url)), None)

    def _ready_for_click(self, click: Interaction) -> Answer | None:
        action = action_of(click, self.action_key)
        for rule, handler in self._clicks:
            if rule.names(click, action):
                return None if rule.predicate is not None else _ready(handler)
        return NO_ANSWER

    def _click_handler(self, click: Interaction, asking: Asking | None = None) -> Handler | None:
        action = action_of(click, self.action_key)
        for rule, handler in self._clicks:
            if asking is not None and rule.predicate is not None:
                asking(handler, rule.predicate)
            try:
                if rule.matches(click, action):
                    return handler
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                # Not only Exception: a predicate that calls exit() must not end the process.
                raise PredicateFailed(handler, error) from error
        return None


def _ready(handler: Handler | None) -> Answer | None:
    match None if handler is None else handler.answer:
        case None:
            return NO_ANSWER
        case Answer() as ready:
            return ready
        case _:
            return None


def _failing(failed: PredicateFailed) -> Handler:
    def fail(click: Interaction, card: object) -> NoReturn:  # noqa: ARG001 -- a handler's shape
        raise failed.error

    handler = failed.handler
    return Handler(name=handler.name, function=fail, digest=handler.digest, on_error=handler.on_error)


def _needed(where: str, argument: str, given: object, example: str) -> str:
    if isinstance(given, str) and 0 < len(given) <= NAME_CHARS and given.isprintable():
        return given
    raise ConfigError(
        f'{where}(…): {argument}= is no text of 1 to {NAME_CHARS} printable characters, as in {where}("{example}")'
    )


def _text(argument: str, given: object) -> str | None:
    if given is None or (isinstance(given, str) and given):
        return given
    raise ConfigError(f'{argument}= is {type(given).__name__} {given!r}: expected a text, as in {argument}="follow_up"')
