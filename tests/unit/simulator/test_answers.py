import json
from typing import Any

import pytest

from shared.core.cards import CardFormat
from simulator.answers import (
    Answered,
    CallbackStyle,
    Heard,
    NotAnswered,
    Reaction,
    is_challenge_met,
    react,
    react_to_event,
    react_to_preview,
)
from tests.unit.simulator.world import card, card_2_0

TOAST = {"type": "success", "content": "done", "i18n": {"zh_cn": "完成"}}


def reaction(body: Any, *, status: int = 200, style: CallbackStyle = "new", shown: CardFormat = "1.0") -> Reaction:
    """Return the client's reaction to an answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return react(Answered(status=status, body=content), style=style, shown=shown)


@pytest.mark.parametrize("body", [{}, {"toast": TOAST}, {"msg": "success"}])
@pytest.mark.parametrize("style", ["new", "legacy"])
def test_an_answer_without_a_card_changes_nothing(body: Any, style: CallbackStyle) -> None:
    """Empty answers and toasts are fine in both styles."""
    told = reaction(body, style=style)
    assert (None, None, body.get("toast")) == (told.client_error, told.card, told.toast)


@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 404, 500, 503])
def test_any_status_but_200_is_an_error(status: int) -> None:
    """A redirect is an error like a refusal."""
    assert 200671 == reaction({}, status=status).client_error


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"no handler"',
        {"toast": "done"},
        {"toast": {"type": "green", "content": "done"}},
        {"toast": {"type": "info", "content": 7}},
        {"toast": {"type": "info", "i18n": {"zh_cn": 7}}},
        {"card": card()},
        {"card": {"type": "cooked", "data": card()}},
    ],
)
def test_an_answer_of_the_wrong_shape_is_told_apart(body: Any) -> None:
    """The client shows 200672 for a body that is not an answer."""
    assert 200672 == reaction(body).client_error


@pytest.mark.parametrize(
    "data", [None, [], {"config": []}, {"elements": {}}, {"schema": "2.0", "elements": []}, json.dumps(card())]
)
def test_an_answer_with_an_unusable_card_is_told_apart(data: Any) -> None:
    """The client shows 200673 when only the card is wrong; a card given as text is no card."""
    assert 200673 == reaction({"card": {"type": "raw", "data": data}}).client_error


def test_a_2_0_card_cannot_become_a_1_0_card() -> None:
    """The other direction is allowed."""
    down = reaction({"card": {"type": "raw", "data": card()}}, shown="2.0")
    up = reaction({"card": {"type": "raw", "data": card_2_0()}}, shown="1.0")
    assert (200830, None) == (down.client_error, up.client_error)


def test_a_legacy_answer_has_its_card_at_top_level() -> None:
    """Toast and card stand side by side; the card is everything but the toast."""
    told = reaction({"toast": TOAST, **card("跟进中")}, style="legacy")
    assert told.card is not None
    assert (card("跟进中"), TOAST) == (json.loads(told.card.text), told.toast)


def test_a_legacy_answer_may_be_empty() -> None:
    """No body at all leaves the card as it is."""
    assert reaction(b"", style="legacy").client_error is None


def test_templates_are_answered_in_both_styles() -> None:
    """A template replaces the card, too."""
    template = {"type": "template", "data": {"template_id": "AAq1"}}
    assert reaction({"card": template}).card is not None
    assert reaction(template, style="legacy").card is not None


def test_no_answer_shows_its_code() -> None:
    """What the network did is what the client shows."""
    assert Reaction(client_error=200342) == react(NotAnswered(code=200342), style="new", shown="1.0")


@pytest.mark.parametrize(("status", "code"), [(200, None), (503, 200671)])
def test_an_event_needs_only_its_status(status: int, code: int | None) -> None:
    """The body of an event's answer is not read."""
    assert code == react_to_event(Answered(status=status, body=b"anything")).client_error


@pytest.mark.parametrize(
    ("body", "code"), [(b'{"inline":{"title":"x"}}', None), (b"{}", None), (b'{"inline":"x"}', 200672), (b"", 200672)]
)
def test_a_preview_needs_an_inline_object(body: bytes, code: int | None) -> None:
    """A preview's answer is an object with objects in it."""
    assert code == react_to_preview(Answered(status=200, body=body)).client_error


def test_a_challenge_is_met_by_repeating_it() -> None:
    """Status 200 and the same value."""
    assert is_challenge_met(Answered(status=200, body=b'{"challenge":"x"}'), "x")


@pytest.mark.parametrize(
    "heard",
    [
        Answered(status=500, body=b'{"challenge":"x"}'),
        Answered(status=200, body=b'{"challenge":"y"}'),
        Answered(status=200, body=b"x"),
        NotAnswered(code=200341),
    ],
)
def test_a_challenge_is_met_by_nothing_else(heard: Heard) -> None:
    """Another status, another value, no JSON, no answer."""
    assert not is_challenge_met(heard, "x")


def preview(body: Any) -> Reaction:
    """Return what the client makes of an answer to a link."""
    return react_to_preview(Answered(status=200, body=json.dumps(body).encode()))


@pytest.mark.parametrize(
    "inline",
    [
        {},
        {"title": "t", "i18n_title": {"zh_cn": "题"}, "image_key": "img_1", "url": {"copy_url": "https://a/"}},
        {"title": None, "i18n_title": None},
    ],
)
def test_a_link_is_shown_as_its_line_says(inline: Any) -> None:
    """Every part is optional."""
    told = preview({"inline": inline, "card": {"type": "raw", "data": card()}})
    assert (None, inline, True) == (told.client_error, told.line, told.card is not None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"inline": "t"}, 200672),
        ({"inline": {"title": 7}}, 200672),
        ({"inline": {"i18n_title": ["t"]}}, 200672),
        ({"inline": {"i18n_title": {"zh_cn": 7}}}, 200672),
        ({"inline": {"url": "https://a/"}}, 200672),
        ({"card": card()}, 200672),
        ({"card": {"type": "raw", "data": []}}, 200673),
    ],
)
def test_a_link_that_is_answered_wrongly_is_told_apart(body: Any, code: int) -> None:
    """As for clicks."""
    assert (code, None) == (preview(body).client_error, preview(body).line)
