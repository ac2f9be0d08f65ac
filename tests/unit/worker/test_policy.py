"""What is not even tried, and why."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.core.cards import CardFormat
from shared.core.effects import (
    DeleteEphemeral,
    PlatformEffect,
    RefreshPreview,
    RenameChat,
    Reply,
    SendCard,
    SendEphemeral,
    SendText,
    SetStreaming,
    StreamText,
    UpdateCard,
    UpdateChat,
    UpdateElement,
)
from shared.core.ids import AppId, ChatId, EventId, MessageId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText
from worker.ledger.leased import FaceRow, Head
from worker.policy import FindChat, FindEntity, Go, Move, Refuse, Unknown, before, refuse_click

SENT_AT = 1_750_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
CARD = {"schema": "2.0", "body": {"elements": []}}


def _head(*, target: str = "message:om_1", message_id: str | None = "om_1", begun_at: EpochMs | None = None) -> Head:
    return Head(
        app_id=AppId("cli_1"),
        event_id=EventId("e1"),
        index=1,
        tenant_key=TenantKey("t1"),
        message_id=MessageId(message_id) if message_id else None,
        kind="any",
        target=Target(target),
        audience="*",
        coalesce=None,
        order=1025,
        due=0,
        occurred_at=SENT_AT,
        received_at=SENT_AT,
        decided_at=SENT_AT,
        k=0,
        attempts=0,
        begun_at=begun_at,
        marked_at=None,
    )


def _face(*, sent_at: EpochMs | None = SENT_AT, fmt: CardFormat | None = "1.0", chat_id: str | None = None) -> FaceRow:
    return FaceRow(
        app_id=AppId("cli_1"),
        message_id=MessageId("om_1"),
        sent_at=sent_at,
        card_format=fmt,
        chat_id=ChatId(chat_id) if chat_id else None,
    )


def _large_card(spare: int) -> str:
    frame = '{"schema":"2.0","x":""}'
    return frame[:-2] + "x" * (30 * 1024 - len(frame) + spare) + frame[-2:]


@pytest.mark.parametrize("fmt", ["1.0", "2.0", None])
def test_a_card_is_updated_until_its_fourteenth_day_is_over(fmt: CardFormat | None) -> None:
    """No margin: a call that the platform would refuse is the only cost of a clock that is off."""
    end = SENT_AT + 14 * DAY
    assert Go() == before(UpdateCard(CARD), head=_head(), face=_face(fmt=fmt), now=end - 1)
    assert Refuse(reason="expired") == before(UpdateCard(CARD), head=_head(), face=_face(fmt=fmt), now=end)


@pytest.mark.parametrize("face", [None, _face(sent_at=None)])
def test_a_card_of_unknown_age_is_tried(face: FaceRow | None) -> None:
    """The platform knows how old it is."""
    assert Go() == before(UpdateCard(CARD), head=_head(), face=face, now=SENT_AT + 400 * DAY)


@pytest.mark.parametrize("effect", [UpdateCard, SendCard])
def test_a_card_over_thirty_kilobytes_is_not_sent(effect: Callable[[str], PlatformEffect]) -> None:
    """The last byte that fits goes, the next does not."""
    assert Go() == before(effect(_large_card(0)), head=_head(), face=None, now=SENT_AT)
    assert Refuse(reason="too_large") == before(effect(_large_card(1)), head=_head(), face=None, now=SENT_AT)


def test_what_we_add_to_a_card_counts() -> None:
    """A 1.0 card is measured with the ``update_multi`` that it gets on its way out."""
    frame = '{"elements":"","config":{}}'
    card = frame.replace('""', '"' + "x" * (30 * 1024 - len(frame)) + '"')
    assert Refuse(reason="too_large") == before(UpdateCard(card), head=_head(), face=None, now=SENT_AT)


def test_a_text_is_measured_in_bytes() -> None:
    """150 KB of UTF-8 with the eleven around it, however few characters that is."""
    assert Go() == before(SendText("字" * 51_196), head=_head(), face=None, now=SENT_AT)
    assert Refuse(reason="too_large") == before(SendText("字" * 51_197), head=_head(), face=None, now=SENT_AT)


@pytest.mark.parametrize("effect", [SendCard(CARD), SendText("done")])
def test_a_send_that_may_have_arrived_is_repeated_for_an_hour_less_a_minute(effect: PlatformEffect) -> None:
    """After that the platform would take the repetition for a second message."""
    head, lapse = _head(target="chat:oc_1", begun_at=SENT_AT), SENT_AT + HOUR - 60_000
    assert Go() == before(effect, head=head, face=None, now=lapse - 1)
    assert Unknown() == before(effect, head=head, face=None, now=lapse)


@pytest.mark.parametrize("effect", [SendCard(CARD), SendText("done")])
def test_a_send_that_was_never_begun_is_known_not_to_have_arrived(effect: PlatformEffect) -> None:
    """However long an outage delayed it; how late it is still wanted is another rule's affair."""
    assert Go() == before(effect, head=_head(target="chat:oc_1"), face=None, now=SENT_AT + 30 * DAY)


@pytest.mark.parametrize("effect", [UpdateCard(CARD), RenameChat("n")])
def test_what_may_be_repeated_for_ever_is_never_unknown(effect: PlatformEffect) -> None:
    """Showing a card or a name twice shows it once."""
    assert Go() == before(effect, head=_head(begun_at=SENT_AT), face=None, now=SENT_AT + DAY)


@pytest.mark.parametrize("effect", [RenameChat("n"), SendText("done"), SendCard(CARD)])
def test_an_effect_without_a_chat_looks_for_it(effect: PlatformEffect) -> None:
    """In our own send of the card, then at the platform, and without a card nowhere."""
    head = _head(target="chat-of:om_1")
    assert Move(chat_id=ChatId("oc_9")) == before(effect, head=head, face=_face(chat_id="oc_9"), now=SENT_AT)
    assert FindChat(message_id=MessageId("om_1")) == before(effect, head=head, face=_face(), now=SENT_AT)
    homeless = _head(target="chat-of:e1", message_id=None)
    assert Refuse(reason="no_chat") == before(effect, head=homeless, face=None, now=SENT_AT)


def test_a_reply_goes_to_the_chat_of_the_message_that_it_answers() -> None:
    """Which is not that of the click; nor does it need one."""
    effect, head = Reply("a", None, "om_2"), _head(target="chat-of:om_2", message_id=None)
    assert FindChat(message_id=MessageId("om_2")) == before(effect, head=head, face=None, now=SENT_AT)


@pytest.mark.parametrize(("fmt", "days"), [("1.0", 30), (None, 30), ("2.0", 14)])
def test_a_click_on_an_expired_card_is_refused_an_hour_after_the_limit(fmt: CardFormat | None, days: int) -> None:
    """A click at the border is decided: the two times were taken by different machines of the platform."""
    border = SENT_AT + days * DAY + HOUR
    assert refuse_click(_face(fmt=fmt), border - 1) is None
    assert refuse_click(_face(fmt=fmt), border) == "expired"


@pytest.mark.parametrize("face", [None, _face(sent_at=None)])
def test_a_click_on_a_card_of_unknown_age_is_decided(face: FaceRow | None) -> None:
    """Only our own send tells how old a card is."""
    assert refuse_click(face, SENT_AT + 400 * DAY) is None


def test_a_card_that_the_platform_called_too_old_is_not_updated_again() -> None:
    """Its age may be unknown to us."""
    face = FaceRow(app_id=AppId("cli_1"), message_id=MessageId("om_1"), expired=True)
    assert Refuse(reason="expired") == before(UpdateCard(CARD), head=_head(), face=face, now=SENT_AT)


@pytest.mark.parametrize("effect", [UpdateElement("a", {}), StreamText("a", "b"), SetStreaming(on=True)])
def test_a_part_needs_to_know_its_entity(effect: PlatformEffect) -> None:
    """It is asked for once, and kept with the card."""
    known = FaceRow(app_id=AppId("cli_1"), message_id=MessageId("om_1"), card_id="7")
    assert [FindEntity(message_id=MessageId("om_1")), Go()] == [
        before(effect, head=_head(), face=face, now=SENT_AT) for face in (None, known)
    ]


@pytest.mark.parametrize("effect", [UpdateElement("a", {}), StreamText("a", "b"), SetStreaming(on=True)])
def test_a_card_that_we_sent_in_1_0_has_no_parts(effect: PlatformEffect) -> None:
    """Card JSON 2.0 (docs/reference/platform.md): not so of a template, which does not say, nor if one may be shown."""
    ours = replace(_face(), sent=JsonText('{"elements": []}'))
    templates = [replace(ours, sent=JsonText('{"type": "template", "data": {}}')), replace(ours, shown="0" * 64)]
    of_2_0 = replace(_face(fmt="2.0"), sent=JsonText('{"schema": "2.0", "body": {}}'))
    assert Refuse(reason="not_2_0") == before(effect, head=_head(), face=ours, now=SENT_AT)
    assert [FindEntity(message_id=MessageId("om_1"))] * 3 == [
        before(effect, head=_head(), face=face, now=SENT_AT) for face in (*templates, of_2_0)
    ]


def test_a_part_that_is_too_large_is_refused() -> None:
    """The whole card could not hold it."""
    assert Refuse(reason="too_large") == before(
        UpdateElement("a", _large_card(1)), head=_head(), face=None, now=SENT_AT
    )


@pytest.mark.parametrize(
    "effect", [UpdateCard, SendCard, lambda card: Reply(card=card), lambda card: SendEphemeral(card, "ou_1")]
)
def test_a_card_of_too_many_elements_is_refused(effect: Callable[[dict[str, Any]], PlatformEffect]) -> None:
    """Cards as entities: 200 elements (docs/reference/platform.md, "Cards as entities")."""
    card: dict[str, Any] = {"schema": "2.0", "body": {"elements": [{"tag": "hr"}] * 201}}
    head = _head(target="message:om_1")
    assert Refuse(reason="too_many_elements") == before(effect(card), head=head, face=None, now=SENT_AT)


@pytest.mark.parametrize("effect", [Reply("a"), Reply(card=CARD)])
def test_an_answer_begun_an_hour_ago_is_not_repeated(effect: PlatformEffect) -> None:
    """As every send that carries a uuid."""
    head = _head(begun_at=SENT_AT)
    assert Unknown() == before(effect, head=head, face=None, now=SENT_AT + HOUR)


@pytest.mark.parametrize(
    "effect", [RefreshPreview(), DeleteEphemeral(), UpdateChat(description="a"), RenameChat("a"), SendEphemeral(CARD)]
)
def test_what_no_rule_is_about_is_done(effect: PlatformEffect) -> None:
    """Also what was begun long ago: it may be said twice."""
    assert Go() == before(effect, head=_head(begun_at=SENT_AT), face=None, now=SENT_AT + DAY)
