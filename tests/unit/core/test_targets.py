"""What effects act on: put together and taken apart in one place."""

from shared.core.ids import ChatId, EventId, MessageId
from shared.core.targets import (
    call_target,
    card_in,
    card_of_unknown_chat,
    chat_in,
    chat_of_message_target,
    chat_target,
    is_person,
    message_target,
    preview_target,
    shown_target,
    timer_target,
    user_target,
)

TARGETS = [
    message_target(MessageId("x")),
    chat_target(ChatId("x")),
    chat_of_message_target(MessageId("x")),
    user_target("x"),
    preview_target("x"),
    call_target(EventId("x"), 1),
    timer_target(MessageId("x"), "key"),
]


def test_targets_of_different_kinds_never_meet() -> None:
    """A chat that is not known yet is another target than the message it is asked for."""
    assert ["message:x", "chat:x", "chat-of:x", "user:x", "preview:x", "call:x/1", "timer:x/key"] == TARGETS


def test_a_target_is_read_as_what_it_was_made_of() -> None:
    """Only a card's target names a card, only a chat's a chat, and only a person's is a person."""
    assert ["x", *[None] * 6] == [card_in(target) for target in TARGETS]
    assert [None, "x", *[None] * 5] == [chat_in(target) for target in TARGETS]
    assert [None, None, "x", *[None] * 4] == [card_of_unknown_chat(target) for target in TARGETS]
    assert [user_target("x")] == [target for target in TARGETS if is_person(target)]


def test_a_line_for_people_names_nobodys_address() -> None:
    """An open id says little, an e-mail address says who it is."""
    assert "user" == shown_target(user_target("ada@example.com"))
    assert TARGETS == [shown_target(target) for target in TARGETS]
