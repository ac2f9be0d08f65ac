"""Answers: real threads, predicates that really hang, short caps."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NoReturn

import pytest
import structlog.testing

from gateway.answer import CAP_S, MAX_WAITING, THREADS, Answers
from gateway.append import BUDGET_S
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.answers import CardAnswer, CustomAnswer, Inline, Preview
from shared.core.cards import Toast
from shared.core.decision import Card
from shared.core.errors import ConfigError
from shared.core.events import Action, Answer, InteractionReceived
from shared.core.json_text import json_text
from shared.observability.metrics import ANSWERS_DEFAULTED, GATEWAY_METRICS, Metrics
from tests.support.facts import click

SEEN = Answer(rule="seen", toast=Toast.info("看到了"))
PLAIN = Answer(rule="plain", toast=Toast.info("好"))
LONG_S = 30.0
"""A cap that no test reaches."""

SHORT_S = 0.05
"""What is left of the callbacks that are to be given up."""


class World:
    """An app with a predicate that hangs for events whose id begins with ``hang``, and says where it was asked."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked: dict[str, threading.Thread] = {}
        self.metrics = Metrics(*GATEWAY_METRICS)
        self.made: list[Answers] = []
        self.app = App()

        @self.app.on_action(self.is_meant, tag="button", answer=SEEN.toast, handler_name="seen")
        def seen(click: Interaction, card: Card | None) -> None:
            """Handle a click."""

        @self.app.on_action("follow_up", answer=PLAIN.toast, handler_name="plain")
        def plain(click: Interaction, card: Card | None) -> None:
            """Handle a click."""

    def answers(self, *, cap_s: float = LONG_S, app: App | None = None) -> Answers:
        """Return what chooses the answers of the app."""
        self.made.append(Answers(app or self.app, metrics=self.metrics, cap_s=cap_s))
        return self.made[-1]

    def defaulted(self, reason: str) -> float:
        """Return how often there was no toast for a reason."""
        return self.metrics.value(ANSWERS_DEFAULTED, reason)

    def is_meant(self, click: Interaction) -> bool:
        """Say yes, sooner or later."""
        self.asked[click.event_id] = threading.current_thread()
        if click.event_id.startswith("hang"):
            self.go_on.wait(LONG_S)
        return True


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Yield an app; in the end nothing of it hangs any more."""
    world = World()
    yield world
    world.go_on.set()
    for answers in world.made:
        answers.close()


def _choose(answers: Answers, received: InteractionReceived, left_s: float = 2 * LONG_S) -> Coroutine[Any, Any, Answer]:
    return answers.choose(received, left_s=left_s)


def _at_once(choosing: Coroutine[Any, Any, Answer]) -> Answer:
    """Return an answer that waits for nothing, not even a turn of the loop."""
    try:
        choosing.send(None)
    except StopIteration as returned:
        answer: Answer = returned.value
        return answer
    choosing.close()
    pytest.fail("it waited")


def _other(event_id: str) -> InteractionReceived:
    return click(event_id, message_id=f"om_{event_id}")


def _of_an_input(event_id: str, message_id: str = "om_1") -> InteractionReceived:
    """Return a click that the rule with the predicate does not mean."""
    return click(event_id, message_id=message_id, action=Action(tag="input", value=json_text({"action": "follow_up"})))


async def _until(condition: Callable[[], bool]) -> None:
    """Give threads their turn."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- another thread sets no event of this loop
            await asyncio.sleep(0.001)


async def _all_hang(world: World, answers: Answers) -> None:
    """Give clicks up until every thread hangs with one."""
    async with asyncio.timeout(10):
        while len(world.asked) < THREADS:
            assert Answer() == await _choose(answers, _other(f"hang{len(world.asked)}"), SHORT_S)


async def test_a_click_that_no_predicate_is_asked_about_is_answered_where_we_are(world: World) -> None:
    """The common case: no thread, no turn of the loop, whatever hangs elsewhere."""
    assert PLAIN == _at_once(_choose(world.answers(), _of_an_input("e1")))
    assert {} == world.asked


async def test_an_app_without_predicates_has_no_threads(world: World) -> None:
    """What is not needed is not started."""
    app = App()
    app.on_action("follow_up", answer=PLAIN.toast, handler_name="plain")(lambda click, card: None)
    before = threading.active_count()
    assert PLAIN == _at_once(_choose(world.answers(app=app), click()))
    assert before == threading.active_count()


async def test_a_predicate_is_asked_in_a_thread_and_its_answer_taken(world: World) -> None:
    """The loop goes on meanwhile, and the process does not wait for the thread in the end."""
    assert SEEN == await _choose(world.answers(), click("e1"))
    thread = world.asked["e1"]
    assert (True, False) == (thread.daemon, thread is threading.main_thread())


async def test_a_hanging_predicate_is_left_behind_and_others_are_not_disturbed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its click has no toast, a metric and one line with its ids; the clicks around it have their toasts."""
    answers = world.answers()
    hanging = asyncio.create_task(_choose(answers, _other("hang"), SHORT_S))
    assert [SEEN] * 3 == [await _choose(answers, _other(f"e{n}")) for n in range(3)]
    assert Answer() == await hanging
    assert (1, 0, 0) == (world.defaulted("late"), world.defaulted("failed"), world.defaulted("busy"))
    [line] = [line for line in capsys.readouterr().out.splitlines() if "answer_defaulted" in line]
    assert all(word in line for word in ("reason=late", "app_id=", "event_id=hang", "open_message_id=om_hang"))


async def test_beside_a_hanging_predicate_the_same_threads_serve_others(world: World) -> None:
    """As long as one is free."""
    answers = world.answers()
    hanging = [asyncio.create_task(_choose(answers, _other(f"hang{n}"))) for n in range(THREADS - 1)]
    assert [SEEN] * 50 == await asyncio.gather(*(_choose(answers, _other(f"e{n}")) for n in range(50)))
    world.go_on.set()
    assert [SEEN] * (THREADS - 1) == await asyncio.gather(*hanging)


async def test_with_every_thread_hanging_nobody_waits_and_when_one_comes_back_all_is_well(world: World) -> None:
    """A stuck pool costs toasts, never time, and is not given up for good."""
    answers = world.answers()
    await _all_hang(world, answers)
    assert [Answer()] * 20 == [_at_once(_choose(answers, _other(f"e{n}"))) for n in range(20)]
    assert PLAIN == _at_once(_choose(answers, _of_an_input("e20")))
    assert 20 == world.defaulted("busy")
    world.go_on.set()
    await _until(lambda: not answers.hang)
    assert SEEN == await _choose(answers, _other("again"))


async def test_no_more_clicks_wait_for_a_thread_than_the_bound(world: World) -> None:
    """Those that do not hang yet may all be busy, and what waits is bounded."""
    answers = world.answers()
    hanging = [asyncio.create_task(_choose(answers, _other(f"hang{n}"))) for n in range(THREADS)]
    await _until(lambda: len(world.asked) == THREADS)
    waiting = [asyncio.create_task(_choose(answers, _other(f"e{n}"))) for n in range(MAX_WAITING)]
    await asyncio.sleep(0)
    assert Answer() == _at_once(_choose(answers, _other("beyond")))
    assert 1 == world.defaulted("busy")
    world.go_on.set()
    assert [SEEN] * (THREADS + MAX_WAITING) == await asyncio.gather(*hanging, *waiting)


async def test_a_click_whose_time_is_up_is_never_put_to_a_predicate(world: World) -> None:
    """The threads work for those who still wait."""
    answers = world.answers()
    hanging = [asyncio.create_task(_choose(answers, _other(f"hang{n}"))) for n in range(THREADS)]
    await _until(lambda: len(world.asked) == THREADS)
    assert Answer() == await _choose(answers, _other("late"), SHORT_S)
    world.go_on.set()
    assert [SEEN] * (THREADS + 1) == await asyncio.gather(*hanging, _choose(answers, _other("behind it")))
    assert "late" not in world.asked


@pytest.mark.parametrize("left_s", [SHORT_S, 0.0, -1.0])
async def test_predicates_get_half_of_what_is_left_of_the_callbacks_time(world: World, left_s: float) -> None:
    """The append needs some, too; without any left, nobody waits."""
    async with asyncio.timeout(10):
        assert Answer() == await _choose(world.answers(), click("hang"), left_s)
    assert 1 == world.defaulted("late")


def _raising(error: BaseException) -> App:
    def fails(click: Interaction) -> NoReturn:
        raise error

    app = App()
    app.on_action(fails, answer=SEEN.toast, handler_name="broken")(lambda click, card: None)
    return app


@pytest.mark.parametrize("error", [ValueError("what a person typed"), StopIteration(), SystemExit(3)])
async def test_a_predicate_that_raises_costs_the_toast_and_is_named(
    world: World, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it raises; the line says whose predicate it was, and nothing that was typed."""
    assert Answer() == await _choose(world.answers(app=_raising(error)), click())
    assert 1 == world.defaulted("failed")
    shown = capsys.readouterr().out
    assert f"{type(error).__name__} in the predicate of broken" in shown
    assert "typed" not in shown


async def test_clicks_of_one_card_are_answered_in_the_order_in_which_they_came(world: World) -> None:
    """With or without a predicate, so that they are recorded in this order; other cards do not wait for them."""
    answers = world.answers()
    done: list[str] = []

    async def choose(received: InteractionReceived) -> None:
        await _choose(answers, received)
        done.append(received.event_id)

    async with asyncio.TaskGroup() as group:
        for received in (click("hang"), click("e1"), _of_an_input("e2")):
            group.create_task(choose(received))
        await choose(_other("elsewhere"))
        assert ["elsewhere"] == done
        world.go_on.set()
    assert ["elsewhere", "hang", "e1", "e2"] == done
    assert PLAIN == _at_once(_choose(answers, _of_an_input("e3")))


async def test_a_predicate_gets_no_more_than_the_cap(world: World) -> None:
    """However much the callback has left."""
    async with asyncio.timeout(10):
        assert Answer() == await _choose(world.answers(cap_s=SHORT_S), click("hang"))
    assert 1 == world.defaulted("late")


def test_the_cap_leaves_the_append_most_of_the_budget() -> None:
    """A hanging predicate must not cost a click its record."""
    assert BUDGET_S / 2 >= CAP_S


def test_a_hanging_predicate_does_not_keep_a_process_from_ending() -> None:
    """Neither the loop's end nor the interpreter's waits for its thread."""
    program = """
import asyncio, threading
from gateway.answer import Answers
from shared.app.app import App
from shared.observability.metrics import GATEWAY_METRICS, Metrics
from tests.support.facts import click

app = App()
app.on_action(lambda click: threading.Event().wait())(lambda click, card: None)

async def main():
    answers = Answers(app, metrics=Metrics(*GATEWAY_METRICS), cap_s=0.01)
    await answers.choose(click(), left_s=1)
    answers.close()

asyncio.run(main())
print("ended")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True, text=True)
    assert "ended" in ended.stdout


def _answering(function: Callable[[Interaction], Any]) -> App:
    app = App()
    app.on_action("follow_up", answer=function, handler_name="made")(lambda click, card: None)
    return app


async def test_a_function_that_answers_is_asked_in_a_thread(world: World) -> None:
    """It is user code, as a predicate is."""
    asked: list[threading.Thread] = []

    def made(click: Interaction) -> Toast:
        asked.append(threading.current_thread())
        return Toast.info(click.event_id)

    answers = world.answers(app=_answering(made))
    assert Answer(rule="made", toast=Toast.info("e7")) == await _choose(answers, click("e7"))
    assert [False] == [thread is threading.main_thread() for thread in asked]


async def test_a_function_that_hangs_costs_the_answer_alone(world: World) -> None:
    """The click is answered with nothing after the cap, and the next one as ever."""

    def slow(click: Interaction) -> Toast:
        if click.event_id == "hang":
            world.go_on.wait(LONG_S)
        return PLAIN.toast or Toast.info("")

    answers = world.answers(app=_answering(slow))
    assert Answer() == await _choose(answers, click("hang"), SHORT_S)
    assert 1 == world.defaulted("late")
    assert Answer(rule="made", toast=PLAIN.toast) == await _choose(answers, click("e1"))


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda click: {"toast": click.value}, "the answer of made is of type dict: expected a Toast"),
        (lambda _: CardAnswer({"n": "x" * 40_000}), "the answer of made has a card larger than"),
        (lambda _: CustomAnswer(400, {"n": "x" * 70_000}), "the answer of made has a body of more than"),
        (lambda _: Preview("t"), "the answer of made is of type Preview: expected a Toast"),
        (lambda click: click.value["missing"], "KeyError in the answer of made"),
    ],
)
async def test_what_cannot_be_answered_is_counted_and_answered_with_nothing(
    world: World, function: Callable[[Interaction], Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong shape never leaves; the line says whose answer it was."""
    assert Answer() == await _choose(world.answers(app=_answering(function)), click())
    assert 1 == world.defaulted("failed")
    assert told in capsys.readouterr().out


def _line_of(function: Callable[..., Any], nth: int = 0) -> str:
    """Return where a function stands, or its nth line."""
    return f"{__file__}:{function.__code__.co_firstlineno + nth}"


async def test_the_line_of_a_replaced_answer_says_where_to_mend_it(world: World) -> None:
    """The handler, file and line: of what raised, else of the function that was asked; where nobody was, neither."""

    def raises(click: Interaction) -> Toast:
        texts = {"a": "A"}
        return Toast.info(texts[click.event_id])

    def unfit(click: Interaction) -> CardAnswer:
        return CardAnswer({"n": "x" * 40_000 + click.event_id})

    def hangs(click: Interaction) -> None:
        world.go_on.wait(LONG_S)
        assert click.event_id

    asked = world.answers()
    with structlog.testing.capture_logs() as lines:
        for function, left_s in ((raises, LONG_S), (unfit, LONG_S), (hangs, SHORT_S)):
            await _choose(world.answers(app=_answering(function)), click(), left_s)
        await _choose(asked, click("hang"), SHORT_S)
        await _all_hang(world, asked)
        await _choose(asked, _other("e1"))
    assert [
        ("failed", "made", _line_of(raises, 2)),
        ("failed", "made", _line_of(unfit)),
        ("late", "made", _line_of(hangs)),
        *[("late", "seen", _line_of(World.is_meant))] * THREADS,
        ("busy", None, None),
    ] == [(line["reason"], line.get("handler"), line.get("at")) for line in lines]


async def test_a_link_is_answered_by_its_rule(world: World) -> None:
    """Ready, or by a function; links wait for nobody."""
    app = App()
    app.on_link_preview("https://ready/", answer=Preview("ready"), handler_name="ready")(lambda link, card: None)
    app.answer_link_preview(handler_name="made")(lambda link: Preview(link.url))
    answers = world.answers(app=app)
    ready = click(kind="link_preview", url="https://ready/1")
    assert Answer(rule="ready", inline=Inline(title="ready")) == _at_once(_choose(answers, ready))
    made = click(kind="link_preview", url="https://made/1")
    assert Answer(rule="made", inline=Inline(title="https://made/1")) == await _choose(answers, made)


@pytest.mark.parametrize(
    "answer", [CardAnswer({"n": "x" * 40_000}), CustomAnswer(400, {"n": "x" * 70_000})], ids=["card", "custom"]
)
def test_a_declared_answer_that_is_too_large_is_refused_at_start(
    world: World, answer: CardAnswer | CustomAnswer
) -> None:
    """Otherwise every click would show an error."""
    app = App()
    app.on_action("a", answer=answer, handler_name="large")(lambda click, card: None)
    with pytest.raises(ConfigError, match=r"^CARDWIRE_APP: the answer of large has a .*: expected a smaller one"):
        world.answers(app=app)


def test_what_is_sent_for_a_ready_answer_is_made_once(world: World) -> None:
    """The same bytes for every click, and the right ones for each style."""
    app = App()
    app.on_action("a", answer=CardAnswer({"elements": []}), handler_name="a")(lambda click, card: None)
    answers = world.answers(app=app)
    ready = app.ready_answer(click(value="a"))
    assert ready is not None
    assert answers.body(ready, "card_action") is answers.body(ready, "card_action")
    assert b'{"elements":[],"config":{"update_multi":true}}' == answers.body(ready, "card_action_v1")
    assert b'{"toast":{"type":"info","content":"x"}}' == answers.body(Answer(toast=Toast.info("x")), "card_action")
