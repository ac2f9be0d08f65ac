from typing import Any

import pytest

from tests.unit.simulator.world import ALICE, BOB, DAY_S, World, card, card_2_0


def clicked(content: Any) -> tuple[World, str, str]:
    """Return a world where a card was clicked and the click answered: with the message id and the click's token."""
    world = World()
    message_id = world.put(content)
    click = world.open_click(message_id)
    world.close_click(click)
    return world, message_id, click.card_token


def test_a_card_of_format_2_0_is_updated_for_everybody() -> None:
    """It cannot be exclusive, so it names nobody."""
    world, message_id, token = clicked(card_2_0())
    assert 11311 == world.update(token, {**card_2_0("二"), "open_ids": ["ou_alice"]}).code
    assert 0 == world.update(token, card_2_0("二")).code
    assert card_2_0("二") == world.shown(message_id, BOB)


def test_a_template_is_updated_for_everybody_or_for_those_it_names() -> None:
    """People are named beside the template."""
    world, message_id, token = clicked(card())
    template = {"type": "template", "data": {"template_id": "AAq1"}}
    named = {**template, "open_ids": [BOB.open_id]}
    assert [0, 0] == [world.update(token, each).code for each in (named, template)]
    assert [None, BOB.open_id, None] == [each.audience for each in world.platform.message(message_id).versions]


@pytest.mark.parametrize("people", [["bob"], ["ou_bob", ""], ["on_bob"]])
def test_people_are_named_by_open_ids(people: list[str]) -> None:
    """Another id is refused, and the token keeps its use."""
    world, _, token = clicked(card())
    assert 200320 == world.update(token, card(shared=False, open_ids=people)).code
    assert 2 == world.platform.card_tokens[token].uses_left


def test_people_of_a_shared_card_are_noted() -> None:
    """The documents forbid it, the platform draws the card all the same."""
    world, message_id, token = clicked(card())
    new = card("二", open_ids=[BOB.open_id])
    assert 0 == world.update(token, new).code
    assert new == world.shown(message_id, ALICE)
    assert ["open_ids_of_shared_card"] == world.broken()


def test_a_recalled_card_is_not_updated() -> None:
    """The token keeps its use."""
    world, message_id, token = clicked(card())
    world.platform.message(message_id).is_recalled = True
    assert 200000 == world.update(token, card("二")).code
    assert 2 == world.platform.card_tokens[token].uses_left


@pytest.mark.parametrize(("kilobytes", "code"), [(30, 11310), (100, 100000)])
def test_a_card_that_is_too_large_is_refused_and_noted(kilobytes: int, code: int) -> None:
    """Over 30 KB, and over the 100 KB that no expansion may reach."""
    world, _, token = clicked(card())
    assert code == world.update(token, card("x" * kilobytes * 1024)).code
    assert ["card_too_large"] == world.broken()


def test_after_fourteen_days_an_update_has_no_effect() -> None:
    """A click on an old 1.0 card still gives a token, but nothing changes the card any more."""
    world = World()
    message_id = world.put(card())
    world.clock.advance(14 * DAY_S)
    click = world.open_click(message_id)
    world.close_click(click)
    assert 0 == world.update(click.card_token, card("二")).code
    assert card() == world.shown(message_id)
    assert ["update_expired"] == world.broken()


def test_an_early_update_for_one_person_is_undone_for_that_person() -> None:
    """What single people saw before is what they see again."""
    world, message_id, token = clicked(card())
    world.update(token, card("你", shared=False, open_ids=[BOB.open_id]))
    click = world.open_click(message_id)
    world.update(click.card_token, card("太早", shared=False, open_ids=[ALICE.open_id, BOB.open_id]))
    world.close_click(click)
    assert card() == world.shown(message_id, ALICE)
    assert "你" in str(world.shown(message_id, BOB))
    assert ["update_before_answer"] == world.broken()
