"""Answers: declared ones are refused at start, returned ones are never believed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.app.answering import STATUSES, Asked, UnfitAnswer, answered
from shared.app.app import App
from shared.app.handler import AnswerFailed
from shared.core.answers import CardAnswer, CustomAnswer, Inline, Preview, PreviewUrls, template
from shared.core.cards import Toast
from shared.core.codec import encode
from shared.core.errors import ConfigError
from shared.core.events import Answer
from shared.core.json_text import JsonText
from tests.support.facts import changed, click

CARD = {"config": {"update_multi": True}, "elements": [{"tag": "markdown", "content": "跟进中"}]}


def of(value: object, asked: Asked = "click") -> Answer:
    """Return the answer that a value makes."""
    return answered(value, rule="h", asked=asked)


def test_every_answer_becomes_part_of_the_fact() -> None:
    """Toast, card, both, custom, and nothing, each under its handler's name."""
    toast = Toast.info("好")
    assert Answer(rule="h", toast=toast) == of(toast)
    assert Answer(rule="h", card=JsonText(json.dumps(CARD, ensure_ascii=False, separators=(",", ":")))) == of(
        CardAnswer(CARD)
    )
    assert Answer(rule="h", card=JsonText("{ }"), toast=toast) == of(CardAnswer("{ }", toast=toast))
    custom = CustomAnswer(400, {"content": "hello"})
    assert Answer(rule="h", custom=CustomAnswer(400, '{"content":"hello"}')) == of(custom) == of(custom, "link")
    assert Answer(rule="h") == of(None)


def test_a_preview_becomes_its_line_and_its_card() -> None:
    """The two places that the platform has for them."""
    urls = PreviewUrls(copy_url="https://example.com/")
    preview = Preview("告警", i18n={"en_us": "Alert"}, image_key="img_1", url=urls, card={"elements": []})
    line = Inline(title="告警", i18n_title={"en_us": "Alert"}, image_key="img_1", url=urls)
    assert Answer(rule="h", inline=line, card=JsonText('{"elements":[]}')) == of(preview, "link")
    assert Answer(rule="h", card=JsonText("{}")) == of(Preview(card={}), "link")


def test_a_template_is_a_card_wherever_one_is_taken() -> None:
    """Only what is given is written."""
    assert {"type": "template", "data": {"template_id": "AAq1"}} == template("AAq1")
    whole = {"template_id": "AAq1", "template_version_name": "1.0.0", "template_variable": {"n": 1}}
    assert {"type": "template", "data": whole} == template("AAq1", version="1.0.0", variables={"n": 1})
    assert json.loads(of(CardAnswer(template("AAq1"))).card or "") == template("AAq1")


@pytest.mark.parametrize(
    ("value", "asked", "told"),
    [
        ("好", "click", "of type str: expected a Toast, CardAnswer or CustomAnswer"),
        ({"toast": {"content": "好"}}, "click", "of type dict: expected a Toast"),
        (Preview("t"), "click", "of type Preview: expected a Toast"),
        (Toast.info("好"), "link", "of type Toast: expected a Preview or CustomAnswer"),
        (Toast(content=7), "click", r"Toast with Expected `str`, got `int` - at `\$.content`"),  # type: ignore[arg-type]
        (Toast(content="x", type="green"), "click", "Toast with Invalid enum value 'green'"),  # type: ignore[arg-type]
        (Toast(content="x", i18n={"xx": "y"}), "click", "Toast with Invalid enum value 'xx'"),  # type: ignore[dict-item]
        (CardAnswer("[]"), "click", "CardAnswer with a card that is no JSON object"),
        (
            CardAnswer("no JSON"),
            "click",
            r"CardAnswer with a card whose text is no JSON \(line 1, column 1\): expected a card",
        ),
        (CardAnswer('{"n": NaN}'), "click", "CardAnswer with a card that holds NaN"),
        (CardAnswer({"n": object()}), "click", "CardAnswer with Object of type object is not JSON"),
        (CardAnswer({}, toast="好"), "click", "CardAnswer with a str in place of a Toast"),  # type: ignore[arg-type]
        (CustomAnswer(302, {}), "click", "a status that is not sent: expected 200, or 400 to 599"),
        (CustomAnswer(200.0, {}), "click", "a status that is not sent"),  # type: ignore[arg-type]
        (CustomAnswer("400", {}), "click", "a status that is not sent"),  # type: ignore[arg-type]
        (CustomAnswer(400, "[]"), "click", "CustomAnswer with a body that is no JSON object"),
        (Preview(7), "link", r"Preview with Expected `str \| null`, got `int`"),  # type: ignore[arg-type]
        (Preview("t", i18n={"xx": "y"}), "link", "Preview with Invalid enum value 'xx'"),
        (Preview("t", url="https://example.com/"), "link", "Preview with"),  # type: ignore[arg-type]
        (Preview("t", card=[]), "link", "Preview with a card that is no JSON object"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_answer_is_told_so(value: object, asked: Asked, told: str) -> None:
    """What it is and what is expected, in one line that repeats nothing that was given."""
    with pytest.raises(UnfitAnswer, match=told) as refused:
        of(value, asked)
    assert 1 == len(str(refused.value).splitlines())


@pytest.mark.parametrize("status", [200, 400, 404, 500, 599])
def test_a_status_that_the_platform_reads_is_sent(status: int) -> None:
    """Redirections are not followed, and 204 has no body."""
    assert status in STATUSES
    assert not {100, 204, 301, 302, 399, 600} & STATUSES


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (Toast.info("a\ud800", en_us="\udfff"), "click"),
        (CardAnswer({"a\ud800": ["\udfff"]}), "click"),
        (CardAnswer('{"a": "\ud800"}'), "click"),
        (CustomAnswer(400, '{"a": "\ud800"}'), "click"),
        (Preview("a\ud800", i18n={"en_us": "\ud800"}, url=PreviewUrls(pc="\ud800")), "link"),
    ],
)
def test_half_a_character_does_not_cost_the_record(value: object, asked: Asked) -> None:
    """What a person typed may be cut in the middle; the fact can be written all the same."""
    assert encode(changed(click(), answer=of(value, asked))).value


class TestDeclared:
    """What is written beside a handler."""

    @pytest.mark.parametrize(
        ("register", "told"),
        [
            (lambda app: app.on_action("a", answer={"toast": {}}), "answer= is of type dict: expected a Toast"),
            (lambda app: app.on_action("a", answer=CardAnswer("[]")), "answer= is CardAnswer with a card that is no"),
            (lambda app: app.on_action("a", answer=lambda: None), "answer= takes .*: expected one argument"),
            (lambda app: app.on_action("a", answer=_async), "answer= is asynchronous or yields"),
            (lambda app: app.on_link_preview(answer=Toast.info("x")), "answer= is of type Toast: expected a Preview"),
            (lambda app: app.on_link_preview(7), "prefix= is int 7: expected a text"),
            (lambda app: app.on_link_preview(""), "prefix= is str '': expected a text"),
        ],
    )
    def test_a_mistake_is_refused_at_start(self, register: Callable[[Any], Any], told: str) -> None:
        """One line, with the handler's place."""
        with pytest.raises(ConfigError, match=told) as refused:
            register(App())(_decides)
        assert 1 == len(str(refused.value).splitlines())

    @pytest.mark.parametrize("function", [print, lambda: None, lambda link, card: None])
    def test_what_answers_links_takes_the_link(self, function: Any) -> None:
        """And nothing else."""
        with pytest.raises(ConfigError, match=r"expected a function|expected one argument"):
            App().answer_link_preview()(function)


class TestMadeByAFunction:
    """What a function returns for each click."""

    def test_a_function_sees_the_click(self) -> None:
        """Its answer is recorded under its handler's name."""
        app = App()
        app.on_action("follow_up", answer=lambda click: Toast.info(click.event_id), handler_name="h")(_decides)
        assert app.ready_answer(click("e7")) is None
        assert Answer(rule="h", toast=Toast.info("e7")) == app.answer_for(click("e7"))

    def test_a_function_may_say_nothing(self) -> None:
        """None is an answer, too."""
        app = App()
        app.on_action("follow_up", answer=lambda _: None, handler_name="h")(_decides)
        assert Answer(rule="h") == app.answer_for(click())

    @pytest.mark.parametrize(
        ("function", "told"),
        [
            (lambda _: 1 / 0, "ZeroDivisionError in the answer of h"),
            (lambda _: {"toast": {"content": "what a person typed"}}, "the answer of h is of type dict: expected"),
            (lambda _: "好", "the answer of h is of type str: expected"),
            (lambda _: exit(3), "SystemExit in the answer of h"),  # noqa: PLR1722 -- what somebody may write
            (lambda _: CustomAnswer(302, {}), "the answer of h is CustomAnswer with a status that is not sent"),
            (lambda _: _async(None), "the answer of h is of type coroutine"),
        ],
    )
    def test_a_function_that_fails_says_whose_it_is(self, function: Any, told: str) -> None:
        """And nothing that a person typed."""
        app = App()
        app.on_action("follow_up", answer=function, handler_name="h")(_decides)
        with pytest.raises(AnswerFailed, match=told) as failed:
            app.answer_for(click())
        assert "typed" not in str(failed.value)


def _decides(click: object, card: object) -> None:
    """Decide nothing."""


async def _async(_: object) -> None:
    """Stand for a mistake."""
