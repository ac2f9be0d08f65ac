import pytest

from simulator.answers import CONNECT_FAILED, NotAnswered
from simulator.clicking import Expired, await_answer
from simulator.platform import UnknownThing
from tests.unit.simulator.world import ALICE, BOB, DAY_S, World, card, card_2_0

RAW = {"card": {"type": "raw", "data": card("跟进中")}}
RAW_FOR_ONE = {"card": {"type": "raw", "data": card("只有你", shared=False)}}


def test_an_answered_shared_card_is_seen_by_everybody() -> None:
    """The card in the answer replaces the clicked one."""
    world = World()
    message_id = world.put(card())
    world.close_click(world.open_click(message_id), RAW)
    assert [card("跟进中")] * 2 == [world.shown(message_id, person) for person in (ALICE, BOB)]
    assert ["sent", "answer"] == world.versions(message_id)


def test_an_answered_exclusive_card_is_seen_by_who_clicked() -> None:
    """Without update_multi only the operator sees the answer; a shared update ends that."""
    world = World()
    message_id = world.put(card())
    world.close_click(world.open_click(message_id), RAW_FOR_ONE)
    assert [card("只有你", shared=False), card()] == [world.shown(message_id, person) for person in (ALICE, BOB)]
    world.patch(message_id, card("大家"))
    assert [card("大家")] * 2 == [world.shown(message_id, person) for person in (ALICE, BOB)]


def test_an_empty_answer_leaves_the_card() -> None:
    """Nothing in the answer: nothing changes."""
    world = World()
    message_id = world.put(card())
    assert world.close_click(world.open_click(message_id)).client_error is None
    assert ["sent"] == world.versions(message_id)


def test_an_update_before_the_answer_is_shown_and_then_reverted() -> None:
    """The mistake that this platform is made to punish: the card flips back when the answer comes."""
    world = World()
    message_id = world.put(card())
    click = world.open_click(message_id)
    assert 0 == world.patch(message_id, card("跟进中")).code
    assert card("跟进中") == world.shown(message_id)
    world.close_click(click)
    assert card() == world.shown(message_id)
    assert ["sent", "patch", "revert"] == world.versions(message_id)
    assert ["update_before_answer"] == world.broken()


def test_several_early_updates_are_reverted_to_the_card_that_was_clicked() -> None:
    """Whatever came in between, the card is again what it was at the click."""
    world = World()
    message_id = world.put(card())
    click = world.open_click(message_id)
    world.patch(message_id, card("一"))
    world.patch(message_id, card("二"))
    world.close_click(click)
    assert card() == world.shown(message_id)


def test_an_answered_card_wins_over_an_early_update() -> None:
    """The early update is reverted, then the answer's card is shown."""
    world = World()
    message_id = world.put(card())
    click = world.open_click(message_id)
    world.patch(message_id, card("太早"))
    world.close_click(click, RAW)
    assert ["sent", "patch", "revert", "answer"] == world.versions(message_id)


def test_an_update_after_the_answer_stays() -> None:
    """The right order: answer, then update."""
    world = World()
    message_id = world.put(card())
    world.close_click(world.open_click(message_id))
    world.patch(message_id, card("跟进中"))
    assert card("跟进中") == world.shown(message_id)
    assert [] == world.broken()


def test_the_update_of_an_answered_click_may_come_while_another_click_waits() -> None:
    """Two people click; the first one's update is not the second one's."""
    world = World()
    message_id = world.put(card())
    first, second = world.open_click(message_id), world.open_click(message_id, BOB)
    world.close_click(first)
    world.patch(message_id, card("一"))
    world.close_click(second)
    assert ["sent", "patch"] == world.versions(message_id)
    assert [] == world.broken()


def test_as_many_updates_as_answered_clicks_are_in_order_and_one_more_is_not() -> None:
    """While a click waits, each earlier answer stands behind one update."""
    world = World()
    message_id = world.put(card())
    for _ in range(2):
        world.close_click(world.open_click(message_id))
    world.open_click(message_id)
    for text in ("一", "二"):
        world.patch(message_id, card(text))
    assert [] == world.broken()
    world.patch(message_id, card("三"))
    assert ["update_before_answer"] == world.broken()


def test_an_update_that_names_a_waiting_click_is_too_early_whatever_else_was_answered() -> None:
    """A card that shows the event id of its click is judged exactly."""
    world = World()
    message_id = world.put(card())
    world.close_click(world.open_click(message_id))
    waiting = world.open_click(message_id)
    world.patch(message_id, card(f"done {waiting.event_id}"))
    assert ["update_before_answer"] == world.broken()


def test_an_update_repeated_after_a_lost_reply_is_never_too_early() -> None:
    """The same card again changes nothing and needs no cause."""
    world = World()
    message_id = world.put(card())
    world.close_click(world.open_click(message_id))
    world.patch(message_id, card("一"))
    world.open_click(message_id)
    world.patch(message_id, card("一"))
    assert [] == world.broken()
    assert ["sent", "patch"] == world.versions(message_id)


def test_bytes_delivered_again_after_the_answer_make_no_update_too_early() -> None:
    """A replay of an answered click is not waited for."""
    world = World()
    message_id = world.put(card())
    click = world.open_click(message_id)
    world.close_click(click)
    await_answer(world.platform, click, click.event_id)
    world.patch(message_id, card(f"done {click.event_id}"))
    assert [] == world.broken()


def test_bytes_that_never_arrived_are_waited_for_when_they_come_again() -> None:
    """Nobody can have updated for a click that no receiver has: its second delivery counts as the first."""
    world = World()
    message_id = world.put(card())
    click = world.open_click(message_id)
    world.close_click(click, NotAnswered(code=CONNECT_FAILED))
    await_answer(world.platform, click, click.event_id)
    world.patch(message_id, card(f"done {click.event_id}"))
    assert ["update_before_answer"] == world.broken()


def test_a_1_0_card_reports_clicks_for_thirty_days_but_answers_change_it_for_fourteen() -> None:
    """Between day 14 and day 30 the click arrives, and an answered card has no effect."""
    world = World()
    message_id = world.put(card())
    world.clock.advance(14 * DAY_S)
    assert world.close_click(world.open_click(message_id), RAW).client_error is None
    assert card() == world.shown(message_id)
    world.clock.advance(16 * DAY_S - 1)
    world.close_click(world.open_click(message_id))
    world.clock.advance(1)
    with pytest.raises(Expired):
        world.open_click(message_id)


def test_a_2_0_card_can_be_clicked_for_fourteen_days() -> None:
    """At fourteen days the client says so and asks nobody."""
    world = World()
    message_id = world.put(card_2_0())
    world.clock.advance(14 * DAY_S - 1)
    world.close_click(world.open_click(message_id))
    world.clock.advance(1)
    with pytest.raises(Expired):
        world.open_click(message_id)


def test_a_text_and_a_recalled_card_cannot_be_clicked() -> None:
    """There is nothing to click on."""
    world = World()
    text, recalled = world.send("hi").data["message_id"], world.put(card())
    world.platform.message(recalled).is_recalled = True
    for message_id in (text, recalled, "om_unknown"):
        with pytest.raises(UnknownThing):
            world.open_click(message_id)


def test_a_card_token_updates_twice() -> None:
    """The third use is refused and noted."""
    world = World()
    message_id = world.put(card())
    click = world.open_click(message_id)
    world.close_click(click)
    assert [0, 0, 300040] == [world.update(click.card_token, card(text)).code for text in "一二三"]
    assert card("二") == world.shown(message_id)
    assert ["card_token_used_up"] == world.broken()


def test_a_card_token_is_valid_for_thirty_minutes() -> None:
    """At thirty minutes it has expired."""
    world = World()
    click = world.open_click(world.put(card()))
    world.close_click(click)
    world.clock.advance(30 * 60 - 1)
    assert 0 == world.update(click.card_token, card("一")).code
    world.clock.advance(1)
    assert 300030 == world.update(click.card_token, card("二")).code
    assert ["card_token_expired"] == world.broken()


def test_a_card_token_used_before_the_answer_is_reverted() -> None:
    """The token says which click it belongs to, so this is judged exactly."""
    world = World()
    message_id = world.put(card())
    world.close_click(world.open_click(message_id))
    click = world.open_click(message_id)
    assert 0 == world.update(click.card_token, card("太早")).code
    world.close_click(click)
    assert ["sent", "token", "revert"] == world.versions(message_id)
    assert ["update_before_answer"] == world.broken()


def test_an_exclusive_card_is_updated_for_those_it_names() -> None:
    """A delayed update of an exclusive card says for whom, and nobody else sees it."""
    world = World()
    message_id = world.put(card())
    click = world.open_click(message_id)
    world.close_click(click)
    assert 300090 == world.update(click.card_token, card("谁", shared=False)).code
    named = card("你", shared=False, open_ids=[BOB.open_id])
    assert 0 == world.update(click.card_token, named).code
    assert [card(), named] == [world.shown(message_id, person) for person in (ALICE, BOB)]


@pytest.mark.parametrize(
    ("token", "content", "code"),
    [("c-unknown", card(), 300020), (None, card(), 300020), ("", "text", 10002), ("", {"config": []}, 11311)],
)
def test_a_delayed_update_that_makes_no_sense_is_refused(token: str | None, content: object, code: int) -> None:
    """Unknown tokens and things that are no cards are refused, and use nothing up."""
    world = World()
    click = world.open_click(world.put(card()))
    world.close_click(click)
    given = click.card_token if token == "" else token
    assert code == world.update(given, content).code  # type: ignore[arg-type]
    assert 2 == world.platform.card_tokens[click.card_token].uses_left
