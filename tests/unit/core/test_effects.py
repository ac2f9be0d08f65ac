import msgspec
import pytest

from shared.core.effects import Effect, RenameChat, SendCard, SendText, UpdateCard
from shared.core.ids import ChatId

EFFECTS: list[Effect] = [
    UpdateCard({"elements": []}),
    RenameChat("跟进中", ChatId("oc_1")),
    RenameChat("跟进中"),
    SendCard({"elements": []}, "ou_1"),
    SendText("好"),
]


@pytest.mark.parametrize("effect", EFFECTS, ids=repr)
def test_an_effect_survives_the_ledger(effect: Effect) -> None:
    """An effect is stored as JSON with its kind, and read back as the same value."""
    assert effect == msgspec.json.decode(msgspec.json.encode(effect), type=Effect)


def test_a_card_may_be_given_as_an_object_or_as_text() -> None:
    """Card JSON is kept as text, whichever way it was given."""
    assert UpdateCard({"a": "好"}) == UpdateCard('{"a":"好"}')
    assert '{"a":"好"}' == SendCard({"a": "好"}).card


def test_a_card_that_json_cannot_carry_fails_where_it_is_made() -> None:
    """The author of the handler sees the mistake, not the worker later."""
    with pytest.raises(ValueError, match="set"):
        UpdateCard({"a": {1}})
