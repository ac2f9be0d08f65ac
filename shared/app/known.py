"""Whether somebody takes what an effect calls or brings back: told when it is decided, not days later."""

from collections.abc import Iterable

from shared.app.app import App
from shared.app.handler import Handler
from shared.core.effects import Call, CallApi, Effect, FetchChat, FetchMessage, Remind
from shared.core.errors import HandlerError


def check_known(app: App, handler: Handler, effects: Iterable[Effect]) -> None:
    """
    Return if somebody is there for everything that these effects call or bring back.

    Raises:
        HandlerError: Nobody is: a misspelt name would do nothing, silently, days later.
    """
    for effect in effects:
        if (missing := _missing(app, effect)) is not None:
            raise HandlerError(f"{handler.name} returned {type(effect).__name__} that nobody takes: {missing}")


def _missing(app: App, effect: Effect) -> str | None:
    match effect:
        case Call(name=name):
            return None if app.registered_call(name) else _expected("call", name)
        case FetchChat(name=name) | FetchMessage(name=name):
            return None if app.has_result(name) else _expected("on_result", name)
        case CallApi(name=str(name)):
            return None if app.has_result(name) else _expected("on_result", name)
        case Remind(key=key):
            return None if app.has_reminder(key) else _expected("on_reminder", key)
        case _:
            return None


def _expected(decorator: str, name: str) -> str:
    return f'expected one under @app.{decorator}("{name}")'
