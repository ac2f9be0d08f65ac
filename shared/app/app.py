"""
`App`: what a handlers module declares.

Both processes load it: the worker to decide, the gateway to know what to answer and which events to record.
Nothing here runs a handler (see `shared.app.decide`), reads a clock or does I/O.
"""

from collections.abc import Callable
from itertools import combinations
from typing import NoReturn, TypeVar, assert_never

from shared.app.handler import Function, Handler, make_handler
from shared.app.interaction import Interaction
from shared.app.routing import ClickRule, EventRule, Predicate, action_of
from shared.core.cards import Toast
from shared.core.errors import ConfigError, HandlerError
from shared.core.events import CARD_ACTIONS, Answer, InteractionReceived

_F = TypeVar("_F", bound=Function)


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
        self._events: list[tuple[EventRule, Handler]] = []

    def on_action(
        self,
        match: str | Predicate | None = None,
        *,
        tag: str | None = None,
        name: str | None = None,
        answer: Toast | None = None,
        handler_name: str | None = None,
    ) -> Callable[[_F], _F]:
        """
        Register a handler for clicks. The most specific rule wins: see `shared.app.routing` for the order.

        Args:
            match: The action (``value["action"]``, or the value itself where it is a string), or a predicate.
            tag: The component's tag, as ``button``.
            name: The component's name.
            answer: The toast shown at once, before anything is decided.
            handler_name: Stable name; without it, the function's qualified name.

        Raises:
            ConfigError: An argument is of the wrong type, or the function cannot be a handler.
        """
        rule = ClickRule(
            predicate=match if callable(match) else None,
            action=None if callable(match) else _text("match", match),
            name=_text("name", name),
            tag=_text("tag", tag),
        )

        def register(function: _F) -> _F:
            handler = make_handler(function, name=_text("handler_name", handler_name), answer=answer)
            self._clicks.append((rule, handler))
            # Stable: predicates keep the order in which they were registered.
            self._clicks.sort(key=lambda entry: entry[0].specificity, reverse=True)
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
            handler = make_handler(function, name=_text("handler_name", handler_name), answer=None)
            self._events.append((EventRule(event_type=wanted), handler))
            return function

        return register

    def handler_for(self, received: InteractionReceived) -> Handler | None:
        """
        Return the handler that decides an interaction, or ``None`` if there is none.

        Never raises: a predicate that raises takes the click for its handler, and running that handler fails with
        the predicate's error, so that the click is kept as a failure and no less specific handler takes it.
        """
        match received.kind:
            case "card_action" | "card_action_v1":
                try:
                    return self._click_handler(Interaction(received))
                except PredicateFailed as failed:
                    return _failing(failed)
            case "event":
                return next((handler for rule, handler in self._events if rule.event_type == received.event_type), None)
            case "link_preview":
                return None
            case _ as unreachable:
                assert_never(unreachable)

    def answer_for(self, received: InteractionReceived) -> Answer:
        """
        Return what to answer: the handler's toast, under its name, where it declares one, else the default.

        Raises:
            PredicateFailed: A predicate raised.
        """
        if received.kind not in CARD_ACTIONS:
            return Answer()
        handler = self._click_handler(Interaction(received))
        if handler is None or handler.answer is None:
            return Answer()
        return Answer(rule=handler.name, toast=handler.answer)

    @property
    def has_predicates(self) -> bool:
        """Whether any rule has a predicate."""
        # They go first.
        return bool(self._clicks) and self._clicks[0][0].predicate is not None

    def asks_predicates(self, received: InteractionReceived) -> bool:
        """
        Say whether finding the handler of an interaction runs user code, which may be slow or hang.

        It does for a click that is all that a rule with a predicate names besides; where this says no, plain rules
        alone find the handler.
        """
        if received.kind not in CARD_ACTIONS or not self.has_predicates:
            return False
        click = Interaction(received)
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
        registered = [*self._clicks, *self._events]
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
        if problems:
            raise ConfigError("\n".join(problems))

    def _click_handler(self, click: Interaction) -> Handler | None:
        action = action_of(click, self.action_key)
        for rule, handler in self._clicks:
            try:
                if rule.matches(click, action):
                    return handler
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                # Not only Exception: a predicate that calls exit() must not end the process.
                raise PredicateFailed(handler, error) from error
        return None


def _failing(failed: PredicateFailed) -> Handler:
    def fail(click: Interaction, card: object) -> NoReturn:  # noqa: ARG001 -- a handler's shape
        raise failed.error

    return Handler(name=failed.handler.name, function=fail, digest=failed.handler.digest)


def _text(argument: str, given: object) -> str | None:
    if given is None or (isinstance(given, str) and given):
        return given
    raise ConfigError(f'{argument}= is {type(given).__name__} {given!r}: expected a text, as in {argument}="follow_up"')
