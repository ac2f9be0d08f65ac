"""Effects that come back, and reminders: what is refused where it is written, and why."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.app.app import App
from shared.app.decide import run
from shared.app.handler import make_handler
from shared.app.interaction import Interaction
from shared.app.known import check_known
from shared.core.decision import Card
from shared.core.effects import Call, CallApi, CancelReminder, Effect, FetchChat, FetchMessage, Remind
from shared.core.errors import ConfigError, HandlerError
from tests.support import facts


def decided(effect: Effect, *, message_id: str | None = "om_1") -> tuple[Effect, ...]:
    """Decide a click by a handler that returns this effect."""

    def handle(click: Interaction, card: Card | None) -> list[Effect]:
        return [effect]

    chat_id = None if message_id is None else facts.CHAT
    clicked = Interaction(facts.click("e1", value={}, message_id=message_id, chat_id=chat_id))
    return tuple(run(make_handler(handle, name="handle"), clicked, None).effects)


@pytest.mark.parametrize(
    ("effect", "told"),
    [
        (Call(""), "a name that is no text of 1 to 128 printable characters"),
        (Call("x" * 129), "a name that is no text of 1 to 128 printable characters"),
        (Call("a\0"), "a name that is no text of 1 to 128 printable characters"),
        (Call("publish", "{"), "args that are no JSON"),
        (Call("publish", '{"n": Infinity}'), "args that are no JSON"),
        (Call("publish", "[" * 100_000), "args that are no JSON"),
        (FetchChat("oc/../1"), "an id that is none: expected one as in 'oc_…'"),
        (FetchMessage("a b"), "an id that is none: expected one as in 'om_…'"),
        (CallApi("GET", "/other/v1"), "a path that is none"),
        (CallApi("GET", "https://example.com/open-apis/im"), "a path that is none"),
        (CallApi("GET", "/open-apis/im/../../x"), "a path with a part '.' or '..'"),
        (CallApi("GET", "/open-apis/im/%2e%2e/x"), "a path with a part '.' or '..'"),
        (CallApi("GET", "/open-apis/im/.%2E%2fx"), "a path with a part '.' or '..'"),
        (CallApi("GET", "/open-apis/im/..%5Cx"), "a path with a part '.' or '..'"),
        (CallApi("GET", "/open-apis/im/./x"), "a path with a part '.' or '..'"),
        (CallApi("GET", "/open-apis/im?x=1"), "a path that is none"),
        (CallApi("GET", "/open-apis/im v1"), "a path that is none"),
        (CallApi("POST", "/open-apis/im/v1/pins", body="{"), "body that are no JSON"),
        (CallApi("DROP", "/open-apis/im/v1/pins"), "Invalid enum value"),  # type: ignore[arg-type]
        (CallApi("GET", "/open-apis/im", {"a": 1}), "Expected `str`, got `int`"),  # type: ignore[dict-item]
        (Remind(timedelta(days=30, seconds=1)), "a time that is not from 0 s to 30 days"),
        (Remind(-1), "a time that is not from 0 s to 30 days"),
        (Remind("tomorrow"), "Invalid ISO8601 duration"),  # type: ignore[arg-type]
        (Remind(1, key=""), "a key that is no text of 1 to 128 printable characters"),
        (CancelReminder("\n"), "a key that is no text of 1 to 128 printable characters"),
    ],
)
def test_what_cannot_be_done_fails_the_handler_that_returned_it(effect: Effect, told: str) -> None:
    """Now, with a reason that repeats nothing, and not when it is due."""
    with pytest.raises(HandlerError, match="handle returned") as failed:
        decided(effect)
    assert told in str(failed.value)


@pytest.mark.parametrize(
    "effect",
    [
        Call("publish", [1, {"n": None}]),
        Call("发布", '"text"'),
        FetchChat("oc_1"),
        FetchMessage(),
        CallApi("DELETE", "/open-apis/im/v1/messages/om_1/reactions/r-1", {"q": "1 & 2"}),
        Remind(timedelta(days=30)),
        Remind(0.5, key="提醒"),
        CancelReminder(),
    ],
)
def test_what_can_be_done_is_decided_as_it_is(effect: Effect) -> None:
    """With its types checked."""
    assert (effect,) == decided(effect)


@pytest.mark.parametrize("effect", [FetchMessage(), FetchChat()])
def test_a_question_about_this_card_needs_a_card(effect: Effect) -> None:
    """An event is about none."""
    with pytest.raises(HandlerError, match="is about no c"):
        decided(effect, message_id=None)


@pytest.mark.parametrize(
    ("effect", "missing"),
    [
        (Call("publsh"), '@app.call("publsh")'),
        (FetchChat("oc_1"), '@app.on_result("fetch_chat")'),
        (CallApi("GET", "/open-apis/x", name="x"), '@app.on_result("x")'),
        (Remind(1, key="excalate"), '@app.on_reminder("excalate")'),
    ],
)
def test_what_nobody_takes_is_told_with_what_is_missing(effect: Effect, missing: str) -> None:
    """A misspelt name would do nothing, silently."""

    def handle(click: Interaction, card: Card | None) -> None: ...

    with pytest.raises(HandlerError) as failed:
        check_known(App(), make_handler(handle, name="handle"), [effect])
    assert (
        str(failed.value) == f"handle returned {type(effect).__name__} that nobody takes: expected one under {missing}"
    )


async def publish(args: Any, *, idempotency_key: str) -> None:
    """Stand for a function of the user's."""


def not_async(args: Any, *, idempotency_key: str) -> None:
    """Stand for one that would block the loop."""


async def keyless(args: Any) -> None:
    """Stand for one that cannot tell a repetition."""


@pytest.mark.parametrize(
    ("register", "told"),
    [
        (lambda app: app.call("publish")(not_async), "is not asynchronous"),
        (lambda app: app.call("publish")(keyless), "as in async def keyless(args, *, idempotency_key)"),
        (lambda app: app.call("publish", timeout_s=0)(publish), "timeout_s= is no time up to 3,600 s"),
        (lambda app: app.call("publish", timeout_s="10")(publish), "timeout_s= is no time up to 3,600 s"),
        (lambda app: app.call("publish", attempts=0)(publish), "attempts= is no number from 1 to 100"),
        (lambda app: app.call("publish", attempts=True)(publish), "attempts= is no number from 1 to 100"),
        (lambda app: app.call("")(publish), 'as in call("publish")'),
        (lambda app: app.on_result(None), 'as in on_result("publish")'),
        (lambda app: app.on_reminder(3), 'as in on_reminder("escalate")'),
    ],
)
def test_a_registration_that_cannot_work_is_refused_at_start(register: Callable[[App], object], told: str) -> None:
    """With what was expected, and an example."""
    with pytest.raises(ConfigError) as refused:
        register(App())
    assert told in str(refused.value)


def test_two_functions_of_one_name_are_refused_at_start() -> None:
    """Nobody could say which is called."""
    app = App()
    app.call("publish")(publish)
    app.call("publish")(publish)
    with pytest.raises(
        ConfigError, match=r'call\("publish"\) is registered twice: expected one function for each name'
    ):
        app.check()


def test_two_handlers_of_one_result_are_refused_at_start() -> None:
    """As with clicks."""
    app = App()

    @app.on_result("publish")
    def one(result: object, card: object) -> None: ...

    @app.on_result("publish")
    def two(result: object, card: object) -> None: ...

    with pytest.raises(ConfigError, match=r'are both registered with on_result\("publish"\)'):
        app.check()
