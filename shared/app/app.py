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
from shared.core.errors import ConfigError
from shared.core.events import Answer, InteractionReceived

_F = TypeVar("_F", bound=Function)


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
                return self._click_handler(Interaction(received))
            case "event":
                return next((handler for rule, handler in self._events if rule.event_type == received.event_type), None)
            case "link_preview":
                return None
            case _ as unreachable:
                assert_never(unreachable)

    def answer_for(self, received: InteractionReceived) -> Answer:
        """Return what to answer: the handler's toast, under its name, where it declares one, else the default."""
        handler = self.handler_for(received)
        if handler is None or handler.answer is None:
            return Answer()
        return Answer(rule=handler.name, toast=handler.answer)

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
            except Exception as error:  # noqa: BLE001 -- user code: whatever it raises is the decision's failure
                return _failing(handler, error)
        return None


def _failing(handler: Handler, error: Exception) -> Handler:
    def fail(click: Interaction, card: object) -> NoReturn:  # noqa: ARG001 -- a handler's shape
        raise error

    return Handler(name=handler.name, function=fail, digest=handler.digest)


def _text(argument: str, given: object) -> str | None:
    if given is None or (isinstance(given, str) and given):
        return given
    raise ConfigError(f'{argument}= is {type(given).__name__} {given!r}: expected a text, as in {argument}="follow_up"')
