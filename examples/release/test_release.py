"""What releasing does, without a server, an account or a network."""

import asyncio

import pytest
from release import app, publish, release_card, released_card

from cardwire import Call, CallFailed, Reply, Toast, UpdateCard
from cardwire.testing import card, click, given, result

STORED = release_card(["1626958617426", "1626958617427"])
PRESS = click(value={"button_type": "public_publish", "button_id": "1626958617426"})
UNDER_WAY = card(content=STORED, state={"click-1": "1626958617426"})


def test_a_press_has_it_released() -> None:
    """The person is told at once; the card waits for the result."""
    given(app, card(content=STORED)).when(PRESS).then(
        [Call("publish", {"button_id": "1626958617426", "by": "ou_ada"})], state={"click-1": "1626958617426"}
    ).answered(Toast.info("正在发布", en_us="Releasing"))


def test_a_second_press_meanwhile_releases_nothing() -> None:
    """Of that button; another one has a release of its own."""
    given(app, UNDER_WAY).when(PRESS).then([])
    other = click(value={"button_type": "public_publish", "button_id": "1626958617427"}, event_id="click-2")
    given(app, UNDER_WAY).when(other).then(
        [Call("publish", {"button_id": "1626958617427", "by": "ou_ada"})],
        state={"click-1": "1626958617426", "click-2": "1626958617427"},
    )


def test_what_was_released_is_done_on_the_stored_card() -> None:
    """Where its button stood: the other one stays."""
    shown = released_card(STORED, "1626958617426")
    given(app, UNDER_WAY).when(result("publish", {"released": "1626958617426"})).then([UpdateCard(shown)], state={})
    assert STORED["i18n_elements"]["zh_cn"][1] == shown["i18n_elements"]["zh_cn"][1]
    assert shown["i18n_elements"]["zh_cn"][0]["fields"][0]["text"]["content"] == "已完成"


def test_what_was_released_from_an_unknown_card_is_told_below_it() -> None:
    """Of a card that somebody else sent nobody knows the content; its button stays, and releases no second time."""
    unknown = card(state={"click-1": "1626958617426"})
    after = given(app, unknown).when(result("publish", {"released": "1626958617426"}))
    after.then([Reply("「全量发布」已完成：1626958617426")])
    given(app, after.card).when(PRESS).then([])


def test_a_failed_release_changes_nothing() -> None:
    """And can be tried again."""
    after = given(app, UNDER_WAY).when(result("publish", error="there is no such release")).then([], state={})
    assert after.card.content == STORED


def test_the_same_key_stands_for_the_same_release() -> None:
    """That is what your own system must make of it."""
    released = asyncio.run(publish({"button_id": "1"}, idempotency_key="k"))
    assert released == {"released": "1", "key": "k"}
    with pytest.raises(CallFailed):
        asyncio.run(publish({"button_id": "x"}, idempotency_key="k"))


def test_other_buttons_are_left_alone() -> None:
    """Only those of the type that a handler was registered for."""
    given(app).when(click(value={"button_type": "mute"})).ignored()
