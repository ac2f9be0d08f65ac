import dataclasses

from shared.core.ids import EventId, MessageId
from simulator import clicking
from simulator.history import ClickSeen, Trail
from tests.unit.simulator.world import World, card

SEEN = ClickSeen(
    n=1,
    event_id=EventId("e1"),
    message_id=MessageId("om_1"),
    style="new",
    deliveries=1,
    is_again=False,
    began_at_ms=0,
    ended_at_ms=0,
    status=200,
    client_error=None,
)


def trail(things: int, kept: int) -> Trail[ClickSeen]:
    """Return a trail that so many things went along."""
    made: Trail[ClickSeen] = Trail(kept)
    for _ in range(things):
        made.add(dataclasses.replace(SEEN, n=made.next_n()))
    return made


def test_pages_go_on_after_the_last_number() -> None:
    """Reading page after page gives everything once, in order."""
    made = trail(10, kept=100)
    assert [1, 2, 3, 4] == [each.n for each in made.after(0, 4)]
    assert [5, 6, 7, 8] == [each.n for each in made.after(4, 4)]
    assert [9, 10] == [each.n for each in made.after(8, 4)]
    assert [] == made.after(10)


def test_the_oldest_are_forgotten_and_numbers_stay() -> None:
    """A reader that fell behind goes on with what is left."""
    made = trail(10, kept=4)
    assert [7, 8, 9, 10] == [each.n for each in made.after(0)]
    assert [7, 8] == [each.n for each in made.after(3, 2)]
    assert [10] == [each.n for each in made.after(9)]


def test_the_oldest_card_tokens_are_forgotten() -> None:
    """However many people click, tokens take bounded memory; a forgotten token is an unknown one."""
    world = World()
    message_id = world.put(card())
    first = world.open_click(message_id)
    world.close_click(first)
    for _ in range(clicking.MAX_CARD_TOKENS):
        clicking.open_click(world.platform, message_id, operator=first.operator, action=b"{}", style="new")
    assert clicking.MAX_CARD_TOKENS == len(world.platform.card_tokens)
    assert 300020 == world.update(first.card_token, card("二")).code
