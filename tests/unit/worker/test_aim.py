"""What an effect acts on, who sees it, when it may start."""

import pytest

from shared.core.effects import (
    Call,
    DeleteEphemeral,
    Effect,
    RefreshPreview,
    Reply,
    SendCard,
    SendEphemeral,
    SendText,
    UpdateCard,
    UpdateChat,
)
from shared.core.errors import HandlerError
from shared.core.events import Operator, PlannedEffect
from shared.core.ids import ChatId, MessageId, OpenId
from tests.support import facts
from worker.deciding.plan import plan
from worker.deciding.rights import rights

CLICK = facts.click(card_token="c-1", preview_token="p-1")
HERE = f"chat:{facts.CHAT}"
ON_CARD = f"message:{facts.CARD}"
EXCLUSIVE = '{"config":{"update_multi":false}}'


def planned(effect: Effect) -> PlannedEffect:
    """Return an effect of the click as it is stored."""
    return plan(effect, CLICK, index=1, offset=0, chat_id=facts.CHAT)


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (UpdateCard("{}"), (ON_CARD, "*", "card", "after_answer")),
        (UpdateCard("{}", None, "ou_2"), (ON_CARD, "ou_2", "card", "after_answer")),
        (UpdateCard(EXCLUSIVE), (ON_CARD, "ou_1", "card", "after_answer")),
        (UpdateChat("a"), (HERE, "*", "name", "at_once")),
        (UpdateChat("a", "b"), (HERE, "*", None, "at_once")),
        (UpdateChat("a", chat_id="oc_2"), ("chat:oc_2", "*", "name", "at_once")),
        (Reply("a"), (HERE, "*", None, "at_once")),
        (Reply("a", None, "om_2"), ("chat-of:om_2", "*", None, "at_once")),
        (SendText("a", "on_1"), ("user:on_1", "*", None, "at_once")),
        (SendText("a", "a@b.example"), ("user:a@b.example", "*", None, "at_once")),
        (SendText("a", "7"), ("user:7", "*", None, "at_once")),
        (SendEphemeral("{}"), (HERE, "*", None, "at_once")),
        (SendEphemeral("{}", "ou_2", "oc_2"), ("chat:oc_2", "*", None, "at_once")),
        (DeleteEphemeral(), (ON_CARD, "*", None, "after_answer")),
        (DeleteEphemeral(MessageId("om_2")), ("message:om_2", "*", None, "at_once")),
    ],
)
def test_each_effect_has_its_target_and_its_time(effect: Effect, expected: tuple[object, ...]) -> None:
    """Changes of the clicked card wait for its answer, and nothing else does."""
    one = planned(effect)
    assert expected == (one.target, one.audience, one.coalesce, one.eligibility)


def test_what_is_taken_from_the_click_is_written_out() -> None:
    """So that the log needs no click beside an effect."""
    assert [
        Reply("a", None, facts.CARD),
        SendEphemeral("{}", "ou_1"),
        DeleteEphemeral(MessageId(facts.CARD)),
    ] == [planned(effect).effect for effect in (Reply("a"), SendEphemeral("{}"), DeleteEphemeral())]


@pytest.mark.parametrize("effect", [Reply("a"), DeleteEphemeral(), SendEphemeral("{}", None, "oc_1")])
def test_what_nobody_can_be_taken_for_is_an_error(effect: Effect) -> None:
    """An event has no card, and perhaps no person."""
    event = facts.click(message_id=None, kind="event", operator=Operator())
    with pytest.raises(HandlerError):
        plan(effect, event, index=1, offset=0, chat_id=ChatId("oc_1"))


def test_refreshes_of_one_preview_are_paced_as_one_without_telling_its_token() -> None:
    """Several callbacks have one token; a target stands in log lines."""
    again = facts.click("e2", preview_token="p-1")
    one, other = planned(RefreshPreview()), plan(RefreshPreview(), again, index=1, offset=1, chat_id=None)
    assert one.target == other.target
    assert "p-1" not in one.target
    some = planned(RefreshPreview((OpenId("ou_2"), OpenId("ou_1"))))
    assert ("*", "ou_1,ou_2") == (one.audience, some.audience)


@pytest.mark.parametrize(
    ("effects", "kinds"),
    [
        ([], []),
        ([UpdateCard("{}"), SendCard("{}"), SendEphemeral("{}")], []),
        ([UpdateCard(EXCLUSIVE)], ["card"]),
        ([Call("look_up")], ["card"]),
        ([UpdateCard("{}", None, "ou_2"), RefreshPreview()], ["card", "preview"]),
    ],
)
def test_a_right_is_kept_only_where_an_effect_may_need_it(effects: list[Effect], kinds: list[str]) -> None:
    """It is a secret."""
    kept = rights(CLICK, [planned(effect) for effect in effects])
    assert kinds == [token.key.kind for token in kept]
    assert {"***"} >= {repr(token.token) for token in kept}
