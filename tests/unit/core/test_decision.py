import json

from shared.core.decision import UNCHANGED, Card, Decision
from shared.core.json_text import JsonText


def test_a_decision_leaves_the_state_unless_it_says_otherwise() -> None:
    """None is a state like any other, so keeping it needs a word of its own."""
    assert Decision().state is UNCHANGED
    assert Decision(state=None).state is None
    assert "UNCHANGED" == repr(UNCHANGED)


def test_a_card_hands_out_fresh_values_each_time() -> None:
    """A handler may change what it was given without changing the card."""
    card = Card(state_text=JsonText('{"by":[]}'), content_text=JsonText('{"elements":[]}'))
    card.state["by"].append("ou_1")
    card.content["elements"].append(1)
    assert ({"by": []}, {"elements": []}) == (card.state, card.content)


def test_a_card_nobody_decided_about_has_neither_state_nor_content() -> None:
    """What is not known is None, not an empty object."""
    assert (None, None) == (Card().state, Card().content)


def test_a_card_does_not_show_its_state_in_a_log_line() -> None:
    """State and content are other people's data."""
    card = Card(state_text=JsonText(json.dumps("whisper")), content_text=JsonText(json.dumps("murmur")))
    assert not {"whisper", "murmur"} & set(repr(card).replace('"', " ").split())
    assert "whisper" not in repr(card)
