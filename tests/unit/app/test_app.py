import re
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from cardwire.testing import click, event, link
from shared.app.app import App, PredicateFailed
from shared.app.interaction import Interaction
from shared.core.answers import CardAnswer, CustomAnswer, Inline, Preview
from shared.core.cards import Toast
from shared.core.decision import Card
from shared.core.errors import ConfigError
from shared.core.events import Action, Answer
from shared.core.json_text import JsonText


def decide_nothing(click: Interaction, card: Card | None) -> None:
    """Decide nothing."""


def _named(app: App, interaction: Interaction) -> str | None:
    handler = app.handler_for(interaction.received)
    return None if handler is None else handler.name


def _with(*rules: tuple[str, dict[str, Any]]) -> App:
    app = App()
    for name, rule in rules:
        app.on_action(**rule, handler_name=name)(decide_nothing)
    return app


ALL = _with(
    ("any", {}),
    ("tag", {"tag": "button"}),
    ("name", {"name": "ok"}),
    ("action", {"match": "approve"}),
    ("action_tag", {"match": "approve", "tag": "overflow"}),
    ("predicate", {"match": lambda click: click.operator.open_id == "ou_boss"}),
)


@pytest.mark.parametrize(
    ("name", "interaction"),
    [
        ("predicate", click("approve", open_id="ou_boss", name="ok")),
        ("action_tag", click("approve", tag="overflow", name="ok")),
        ("action", click("approve", name="ok")),
        ("name", click("deny", name="ok")),
        ("tag", click("deny")),
        ("any", click("deny", tag="overflow")),
        ("any", click(tag="input")),
    ],
)
def test_the_most_specific_rule_wins(name: str, interaction: Interaction) -> None:
    """Predicate before action, name, tag and any; more conditions before fewer; whatever was registered first."""
    assert name == _named(ALL, interaction)


def test_of_several_predicates_the_first_registered_wins() -> None:
    """Predicates cannot be compared, so their order is the author's."""
    app = _with(("first", {"match": lambda _: True}), ("second", {"match": lambda _: True}))
    assert _named(app, click("approve")) == "first"


def test_a_value_that_is_a_string_is_its_action() -> None:
    """A button's value may be the action itself."""
    assert _named(ALL, click(value="approve")) == "action"


@pytest.mark.parametrize(
    "value", [None, 7, ["approve"], {"action": ["approve"]}, {"action": None}, {"other": "approve"}]
)
def test_a_value_without_an_action_names_none(value: object) -> None:
    """Any JSON may be a value."""
    assert _named(_with(("action", {"match": "approve"})), click(value=value)) is None


def test_a_value_that_python_cannot_parse_names_no_action() -> None:
    """An honest click with a number of five thousand digits still finds the handler of its tag."""
    value = JsonText('{"action":"approve","n":' + "1" * 5000 + "}")
    received = msgspec.structs.replace(click().received, action=Action(tag="button", value=value))
    assert _named(ALL, Interaction(received)) == "tag"


def test_the_key_of_the_action_can_be_another() -> None:
    """Existing cards need not be rewritten."""
    app = App(action_key="button_type")
    app.on_action("approve", handler_name="approve")(decide_nothing)
    assert _named(app, click(value={"button_type": "approve"})) == "approve"
    assert _named(app, click("approve")) is None


def test_events_find_their_own_handlers_and_clicks_never_do() -> None:
    """An event type is no action, and a rule for every click is none for events."""
    app = _with(("any", {}))
    app.on_event("out_approval", handler_name="approval")(decide_nothing)
    assert _named(app, event("out_approval")) == "approval"
    assert _named(app, event("leave_approval")) is None
    assert _named(app, click("out_approval")) == "any"
    assert (True, False) == (app.wants_event("out_approval"), app.wants_event("leave_approval"))


def test_the_answer_is_the_handlers_toast_under_its_name() -> None:
    """The fact in the log says by which rule somebody was answered."""
    app = App()
    app.on_action("approve", answer=Toast.success("好"), handler_name="approve")(decide_nothing)
    app.on_action("deny", handler_name="deny")(decide_nothing)
    assert Answer(rule="approve", toast=Toast.success("好")) == app.answer_for(click("approve").received)
    assert Answer() == app.answer_for(click("deny").received)
    assert Answer() == app.answer_for(click("unknown").received)
    assert Answer() == app.answer_for(event("approve").received)


def test_a_decorated_function_stays_what_it_was() -> None:
    """Handlers can be called by their own tests."""
    assert decide_nothing is App().on_action("approve")(decide_nothing)


def test_a_handler_is_named_after_its_function_and_its_code() -> None:
    """The name is stable, the digest tells one version of the code from another."""
    app = App()

    @app.on_action("one")
    def first(click: Interaction, card: Card | None) -> None:
        """Decide nothing."""

    @app.on_action("two")
    def second(click: Interaction, card: Card | None) -> None:
        """Decide nothing either."""

    one, two = (app.handler_for(click(action).received) for action in ("one", "two"))
    assert one is not None
    assert two is not None
    assert (first.__qualname__, second.__qualname__) == (one.name, two.name)
    assert all(re.fullmatch("[0-9a-f]{64}", handler.digest) for handler in (one, two))
    assert one.digest != two.digest


async def _async(click: Interaction, card: Card | None) -> None: ...


def _generator(click: Interaction, card: Card | None) -> Any:
    yield


class TestRefusedAtStart:
    """Mistakes that no process starts with."""

    @pytest.mark.parametrize(
        ("register", "told"),
        [
            (lambda app: app.on_action("a")(_async), "_async is async: .* write def, not async def"),
            (lambda app: app.on_action("a")(_generator), "_generator yields: expected a handler that returns a list"),
            (lambda app: app.on_action("a")(lambda click: None), r"takes \(click\): expected two arguments"),
            (lambda app: app.on_action("a")(lambda a, b, c: None), r"takes \(a, b, c\): expected two arguments"),
            (lambda app: app.on_action("a")(lambda *, click, card: None), "expected two arguments"),
            (lambda app: app.on_action("a")(print), "cannot be a handler: expected a function"),
            (lambda app: app.on_action("a", answer="好")(decide_nothing), "answer= is of type str: expected a Toast"),
            (lambda app: app.on_action("a", answer=dict)(decide_nothing), "answer= is of type type: expected a Toast"),
            (lambda app: app.on_action(7)(decide_nothing), "match= is int 7: expected a text"),
            (lambda app: app.on_action(tag="")(decide_nothing), "tag= is str '': expected a text"),
            (lambda app: app.on_action(name=7)(decide_nothing), "name= is int 7: expected a text"),
            (lambda app: app.on_event(None)(decide_nothing), "expected the event's type"),
            (lambda _: App(action_key=""), "action_key= is str ''"),
        ],
    )
    def test_a_handler_that_cannot_work(self, register: Callable[[Any], object], told: str) -> None:
        """The line says what was given, what is expected, and an example."""
        with pytest.raises(ConfigError, match=told) as refused:
            register(App())
        assert 1 == len(str(refused.value).splitlines())

    def test_the_place_of_a_handler_is_named(self) -> None:
        """File and line lead to the mistake."""
        with pytest.raises(ConfigError, match=rf"{re.escape(__file__)}:\d+: _async"):
            App().on_action("a")(_async)  # type: ignore[type-var]

    def test_two_handlers_for_the_same_thing(self) -> None:
        """Nobody could say which of them a click is for."""
        app = _with(("one", {"match": "approve", "tag": "button"}), ("two", {"match": "approve", "tag": "button"}))
        with pytest.raises(ConfigError) as refused:
            app.check()
        told = 'one and two are both registered with on_action("approve", tag="button"): expected one handler for each'
        assert told in str(refused.value).splitlines()

    def test_two_handlers_for_the_same_event(self) -> None:
        """Events are told apart by type alone."""
        app = App()
        for name in ("one", "two"):
            app.on_event("out_approval", handler_name=name)(decide_nothing)
        with pytest.raises(ConfigError, match=r'both registered with on_event\("out_approval"\)'):
            app.check()

    def test_two_functions_of_one_name(self) -> None:
        """Suspensions and decisions are filed under the name."""
        app = App()
        app.on_action("a", handler_name="same")(decide_nothing)
        app.on_action("b", handler_name="same")(lambda click, card: None)
        with pytest.raises(ConfigError, match="two handlers are called same: give one of them another name"):
            app.check()

    def test_one_function_may_serve_several_rules(self) -> None:
        """One name, one function: nothing to confuse."""
        app = App()
        app.on_action("a")(decide_nothing)
        app.on_action("b")(decide_nothing)
        app.check()


class TestARaisingPredicate:
    """A predicate is user code, too."""

    def test_takes_the_click_so_that_the_failure_is_kept(self) -> None:
        """A less specific handler never decides a click that may not be its own."""
        app = _with(("broken", {"match": lambda click: click.value["missing"]}), ("any", {}))
        assert _named(app, click("approve")) == "broken"

    def test_has_no_answer_and_says_whose_it_is(self) -> None:
        """The gateway answers all the same, and whoever wrote it finds a name in the log, and no value."""
        app = App()
        app.on_action(lambda click: click.value["missing"], answer=Toast.info("x"), handler_name="h")(decide_nothing)
        with pytest.raises(PredicateFailed, match=r"^KeyError in the predicate of h$"):
            app.answer_for(click("approve").received)

    def test_cannot_end_the_process(self) -> None:
        """A predicate that calls exit() fails like any other."""
        app = _with(("leaving", {"match": lambda _: sys.exit(3)}), ("any", {}))
        assert _named(app, click("approve")) == "leaving"


def test_only_clicks_that_a_predicates_rule_may_mean_are_put_to_it() -> None:
    """What plain rules can tell apart needs no user code, and then nobody has to fear that it hangs."""
    app = _with(("boss", {"match": lambda _: True, "tag": "input"}), ("any", {}))
    assert (True, True) == (app.has_predicates, app.asks_predicates(click("approve", tag="input").received))
    assert not app.asks_predicates(click("approve").received)
    assert not app.asks_predicates(event("approve").received)
    plain = _with(("action", {"match": "approve"}), ("any", {}))
    assert (False, False) == (plain.has_predicates, plain.asks_predicates(click("approve").received))


class TestLinks:
    """Previews of links."""

    def _app(self) -> App:
        app = App()
        app.on_link_preview(answer=Preview("any"), handler_name="any")(decide_nothing)
        app.on_link_preview("https://example.com/", answer=lambda url: Preview(url.url), handler_name="ours")(
            decide_nothing
        )

        @app.answer_link_preview("https://example.com/alerts/", handler_name="alerts")
        def alerts(url: Interaction) -> Preview:
            return Preview("告警")

        return app

    def test_the_longest_prefix_wins(self) -> None:
        """Whatever was registered first."""
        app = self._app()
        urls = ("https://example.com/alerts/1", "https://example.com/2", "http://elsewhere/")
        answers = [app.answer_for(link(url).received) for url in urls]
        assert ["alerts", "ours", "any"] == [answer.rule for answer in answers]
        assert ["告警", "https://example.com/2", "any"] == [answer.inline and answer.inline.title for answer in answers]

    def test_what_only_answers_decides_nothing(self) -> None:
        """So the link is not worth recording."""
        app = self._app()
        assert app.handler_for(link("https://example.com/alerts/1").received) is None
        assert _named(app, link("https://example.com/2")) == "ours"

    def test_only_a_function_is_user_code(self) -> None:
        """A ready preview needs no thread."""
        app = self._app()
        assert app.answers_by_code
        assert app.ready_answer(link("https://example.com/alerts/1").received) is None
        assert Answer(rule="any", inline=Inline(title="any")) == app.ready_answer(link("http://elsewhere/").received)

    def test_without_a_rule_nothing_is_answered(self) -> None:
        """And nothing recorded."""
        app = App()
        assert (Answer(), None) == (app.answer_for(link("u").received), app.handler_for(link("u").received))

    def test_two_rules_for_the_same_links(self) -> None:
        """Nobody could say which of them a link is for."""
        app = App()
        app.on_link_preview("https://a/", handler_name="one")(decide_nothing)
        app.answer_link_preview("https://a/", handler_name="two")(lambda _: None)
        with pytest.raises(ConfigError, match="one and two are both registered with the links that begin with"):
            app.check()


def test_ready_answers_are_those_that_need_no_user_code() -> None:
    """They can be made into bytes at start, for each kind of callback that they may answer."""
    app = App()
    app.on_action("a", answer=Toast.info("好"), handler_name="a")(decide_nothing)
    app.on_action("b", answer=lambda _: None, handler_name="b")(decide_nothing)
    app.on_link_preview(answer=Preview("t"), handler_name="c")(decide_nothing)
    ready = {(answer.rule, kind) for answer, kind in app.ready_answers}
    assert {("a", "card_action"), ("a", "card_action_v1"), ("c", "link_preview")} == ready


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, False),
        (Toast.info("x"), False),
        (CardAnswer({}), True),
        (lambda _: None, True),
        (CustomAnswer(400, {}), False),
    ],
)
def test_an_app_knows_whether_it_answers_with_cards(answer: Any, expected: bool) -> None:  # noqa: FBT001 -- a table's column
    """The worker looks for them as soon as their marks are read."""
    app = App()
    app.on_action("a", answer=answer)(decide_nothing)
    assert expected == app.shows_cards
