"""Whatever is declared or returned as an answer, what leaves is a shape that the platform's clients take."""

import json
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from shared.app.answering import answered
from shared.core.answers import CardAnswer, Preview, PreviewUrls
from shared.core.cards import Language, Toast, ToastType
from shared.core.codec import decode, encode
from shared.core.events import InteractionReceived
from shared.feishu.answer import fits_in, render, status_of
from simulator.answers import Answered, CallbackStyle, react, react_to_preview
from tests.support.facts import changed, click

TEXTS = st.text(st.characters(exclude_categories=[])) | st.sampled_from(["", "\x00", "\ud800", "好 ✅"])
LANGUAGES = st.sampled_from(get_args(Language))
TOASTS = st.builds(
    Toast, content=TEXTS, type=st.sampled_from(get_args(ToastType)), i18n=st.dictionaries(LANGUAGES, TEXTS)
)
CARDS = st.builds(lambda text: {"elements": [{"tag": "markdown", "content": text}]}, TEXTS) | st.builds(
    lambda text: {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": text}]}}, TEXTS
)
ANSWERS = TOASTS | st.builds(CardAnswer, CARDS, st.none() | TOASTS) | st.none()
MAYBE = st.none() | TEXTS
PREVIEWS = st.none() | st.builds(
    Preview,
    MAYBE,
    st.dictionaries(LANGUAGES, TEXTS),
    MAYBE,
    st.none() | st.builds(PreviewUrls, copy_url=MAYBE, ios=MAYBE, android=MAYBE, pc=MAYBE, web=MAYBE),
    st.none() | CARDS,
)


def recorded(received: InteractionReceived) -> InteractionReceived:
    """Return a fact as it is read from the log."""
    record = encode(received)
    read = decode(record.headers, record.value)
    assert isinstance(read, InteractionReceived)
    return read


@given(value=ANSWERS, style=st.sampled_from(["card_action", "card_action_v1"]))
def test_what_answers_a_click_is_shown(value: Any, style: Any) -> None:
    """In both styles, and the same after it has been in the log."""
    received = recorded(changed(click(), kind=style, answer=answered(value, rule="h", asked="click")))
    body = render(received.answer, style)
    shape: CallbackStyle = "legacy" if style == "card_action_v1" else "new"
    told = react(Answered(status=status_of(received.answer, style), body=body), style=shape, shown="1.0")
    has_place = isinstance(value, CardAnswer) and fits_in(received.answer.card, style)
    assert (None, has_place) == (told.client_error, told.card is not None)


@given(value=PREVIEWS)
def test_what_answers_a_link_is_shown(value: Any) -> None:
    """Every part is optional, every text is possible."""
    received = recorded(changed(click(), kind="link_preview", answer=answered(value, rule="h", asked="link")))
    body = render(received.answer, "link_preview")
    assert isinstance(json.loads(body), dict)
    assert react_to_preview(Answered(status=200, body=body)).client_error is None
