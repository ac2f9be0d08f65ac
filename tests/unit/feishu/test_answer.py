import json
from typing import Any

import pytest

from shared.core.answers import CustomAnswer, Inline, PreviewUrls
from shared.core.cards import Toast
from shared.core.events import Answer, InteractionKind
from shared.core.json_text import JsonText
from shared.feishu.answer import challenge, fits_in, not_recorded, render, status_of

TOAST = Toast.success("done", zh_cn="完成", en_us="done")
TOAST_ON_THE_WIRE = {"type": "success", "content": "done", "i18n": {"zh_cn": "完成", "en_us": "done"}}
CARD: dict[str, Any] = {"config": {"update_multi": True}, "elements": []}
TEMPLATE: dict[str, Any] = {"type": "template", "data": {"template_id": "AAq1"}}


def _rendered(kind: InteractionKind, *, toast: Toast | None = None, card: object = None) -> Any:
    text = None if card is None else JsonText(card if isinstance(card, str) else json.dumps(card))
    return json.loads(render(Answer(toast=toast, card=text), kind))


@pytest.mark.parametrize("kind", ["card_action", "card_action_v1", "link_preview", "event"])
def test_nothing_to_say_is_an_empty_object(kind: InteractionKind) -> None:
    """An empty body would be an error to new-style callbacks."""
    assert {} == _rendered(kind)


@pytest.mark.parametrize("kind", ["card_action", "card_action_v1"])
def test_a_toast_has_the_same_shape_in_both_styles(kind: InteractionKind) -> None:
    """The kind is always written, also where it is the default."""
    assert {"toast": TOAST_ON_THE_WIRE} == _rendered(kind, toast=TOAST)
    assert {"toast": {"type": "info", "content": "x"}} == _rendered(kind, toast=Toast(content="x"))


def test_a_new_callback_gets_its_card_wrapped() -> None:
    """Type and data, beside the toast."""
    expected = {"toast": TOAST_ON_THE_WIRE, "card": {"type": "raw", "data": CARD}}
    assert expected == _rendered("card_action", toast=TOAST, card=CARD)


def test_a_legacy_callback_gets_its_card_at_the_top() -> None:
    """The toast stands among the card's own members."""
    assert {**CARD, "toast": TOAST_ON_THE_WIRE} == _rendered("card_action_v1", toast=TOAST, card=CARD)


@pytest.mark.parametrize(("kind", "fits"), [("card_action", True), ("card_action_v1", False), ("link_preview", False)])
def test_a_2_0_card_has_a_place_in_new_callbacks_alone(kind: InteractionKind, fits: bool) -> None:  # noqa: FBT001
    """The legacy answer is a 1.0 card's members: what no document knows of does not leave."""
    card = {"schema": "2.0", "body": {"elements": []}}
    assert fits == fits_in(JsonText(json.dumps(card)), kind)
    assert {"toast": TOAST_ON_THE_WIRE} == _rendered("card_action_v1", toast=TOAST, card=card)


def test_a_legacy_cards_own_toast_gives_way_to_the_answers() -> None:
    """The answer says which toast; a card copied from elsewhere may hold another."""
    card = {**CARD, "toast": {"type": "info", "content": "old"}}
    assert {**CARD, "toast": TOAST_ON_THE_WIRE} == _rendered("card_action_v1", toast=TOAST, card=card)


def test_a_template_is_answered_as_such_in_both_styles() -> None:
    """It says itself that it is one."""
    assert {"card": TEMPLATE} == _rendered("card_action", card=TEMPLATE)
    assert TEMPLATE == _rendered("card_action_v1", card=TEMPLATE)


def test_a_preview_takes_a_card_and_no_toast() -> None:
    """A toast would make its answer an invalid shape."""
    assert {"card": {"type": "raw", "data": CARD}} == _rendered("link_preview", toast=TOAST, card=CARD)


def test_a_preview_shows_its_line() -> None:
    """Title, translations, icon and addresses, each where its document has it; what is not given is not written."""
    inline = Inline(
        title="告警",
        i18n_title={"en_us": "Alert"},
        image_key="img_1",
        url=PreviewUrls(copy_url="https://example.com/1", pc="https://example.com/pc"),
    )
    expected = {
        "title": "告警",
        "i18n_title": {"en_us": "Alert"},
        "image_key": "img_1",
        "url": {"copy_url": "https://example.com/1", "pc": "https://example.com/pc"},
    }
    assert {"inline": expected} == json.loads(render(Answer(inline=inline), "link_preview"))
    assert {"inline": {"title": "告警"}} == json.loads(render(Answer(inline=Inline(title="告警")), "link_preview"))


@pytest.mark.parametrize("kind", ["card_action", "card_action_v1", "event"])
def test_a_line_is_for_links_alone(kind: InteractionKind) -> None:
    """A click's answer has no such member."""
    assert {} == json.loads(render(Answer(inline=Inline(title="告警")), kind))


@pytest.mark.parametrize("kind", ["card_action", "card_action_v1", "link_preview"])
def test_a_custom_answer_leaves_as_it_is(kind: InteractionKind) -> None:
    """Status and body are its author's, to the byte."""
    answer = Answer(custom=CustomAnswer(400, '{"content": "hello", "n": 1e400}'), toast=TOAST)
    assert (400, b'{"content":"hello","n":1e400}') == (status_of(answer, kind), render(answer, kind))


def test_the_platform_repeats_events_that_are_not_answered_with_200() -> None:
    """So nobody's custom answer reaches one."""
    answer = Answer(custom=CustomAnswer(400, "{}"))
    assert (200, b"{}") == (status_of(answer, "event"), render(answer, "event"))


def test_a_card_that_does_not_say_who_sees_it_is_answered_to_everybody() -> None:
    """As every card that we send: otherwise only who clicked would see it, and nobody could update it."""
    assert {"elements": [], "config": {"update_multi": True}} == _rendered("card_action_v1", card={"elements": []})
    exclusive = {"config": {"update_multi": False}, "elements": []}
    assert {"card": {"type": "raw", "data": exclusive}} == _rendered("card_action", card=exclusive)


def test_an_event_takes_nothing() -> None:
    """Only the status counts."""
    assert {} == _rendered("event", toast=TOAST, card=CARD)


@pytest.mark.parametrize("kind", ["card_action", "card_action_v1", "link_preview"])
@pytest.mark.parametrize("card", ["[]", "not json", "", "{}", '"\ud800"', "\udcff{"])
def test_what_is_no_card_never_leaves(kind: InteractionKind, card: str) -> None:
    """A wrong shape would show an error code to the person who clicked."""
    assert {} == _rendered(kind, card=card)


@pytest.mark.parametrize("kind", ["card_action", "card_action_v1"])
def test_a_cards_text_leaves_exactly_as_it_was_written(kind: InteractionKind) -> None:
    """Long numbers and lone surrogates in a card are its author's business."""
    card = r'{"n":123456789012345678901234567890,"\ud800":"\udfff"}'
    assert card[1:-1] in render(Answer(card=JsonText(card), toast=TOAST), kind).decode()


def test_a_toast_with_a_lone_surrogate_is_still_shown() -> None:
    """One bad character does not cost the answer."""
    assert (
        "a\ufffd"
        == _rendered("card_action", toast=Toast(content="a\ud800", i18n={"en_us": "a\ud800"}))["toast"]["content"]
    )


def test_a_challenge_is_answered_as_json() -> None:
    """Whatever was in it, the answer is one JSON object."""
    assert b'{"challenge":"a\\"b"}' == challenge('a"b')
    assert {"challenge": "\ufffd"} == json.loads(challenge("\ud800"))


def test_a_click_that_may_be_lost_is_said_so_in_three_languages() -> None:
    """An honest error toast, not a success."""
    toast = not_recorded().toast
    assert toast is not None
    assert "error" == toast.type
    assert {"zh_cn", "en_us", "ja_jp"} == set(toast.i18n)
    assert "may not have been recorded" in toast.i18n["en_us"]
    assert "not_recorded" == not_recorded().rule
