"""The cards of a walk: the newest in memory, the others in a temporary file."""

from shared.core.ids import EventId, MessageId, OpenId
from shared.core.json_text import JsonText
from shared.core.races import Standing
from tests.support.facts import APP
from tests.unit.worker.traveling.facts import file
from worker.ledger.decided import CardKey, ClaimKey
from worker.traveling.card import CardThen
from worker.traveling.cards import CARD_BYTES, NEW, Cards, Failed, Kept
from worker.traveling.words import Words


def _key(number: int) -> CardKey:
    return CardKey(APP, MessageId(f"om_{number}"))


def _kept(number: int) -> Kept:
    race = {"take": Standing(winners=(OpenId("ou_1"),))}
    card = CardThen(version=number + 1, state=JsonText(str(number)), rules=race, newest_at=number)
    other = None if number % 2 else CardThen(version=9, state=JsonText('"other"'))
    return Kept(theirs=card, ours=other, words=Words(sent_at=number), causes=("count",), is_partial=bool(number % 3))


def test_cards_come_back_as_they_were_kept_whatever_memory_there_is() -> None:
    """A hundred cards in memory for three: both worlds, what was told of them, and what was counted."""
    with file() as connection:
        cards = Cards(connection, memory_bytes=3 * CARD_BYTES)
        for number in range(100):
            assert NEW == cards.get(_key(number))
            cards.put(_key(number), _kept(number))
        assert [_kept(number) for number in range(100)] == [cards.get(_key(number)) for number in range(100)]
        assert 100 == cards.seen
        cards.put(_key(7), _kept(8))
        for number in range(50):
            cards.get(_key(number + 20))
        assert _kept(8) == cards.get(_key(7))


def test_memory_is_bounded() -> None:
    """What is held does not grow with the number of cards, however large each is."""
    with file() as connection:
        cards = Cards(connection, memory_bytes=100_000)
        for number in range(500):
            cards.get(_key(number))
            cards.put(_key(number), Kept(theirs=CardThen(version=1, content=JsonText("x" * 3_000))))
            cards.get(_key(number // 2))
        assert cards.in_memory <= 100_000 // 3_000
        assert 500 == cards.seen


def test_a_card_larger_than_the_bound_is_kept_all_the_same() -> None:
    """The one that is touched stays in memory."""
    with file() as connection:
        cards = Cards(connection, memory_bytes=1_000)
        large = Kept(theirs=CardThen(version=1, content=JsonText("x" * 5_000)))
        cards.get(_key(1))
        cards.put(_key(1), large)
        assert large == cards.get(_key(1))


def test_failed_inputs_are_kept_whole() -> None:
    """In case that they are redriven; the newest word on them counts."""
    with file() as connection:
        cards, key = Cards(connection), ClaimKey(APP, EventId("e1"))
        assert cards.failed(key) is None
        for is_ours in (True, False):
            cards.fail(key, Failed(kind="k", value=b"typed", offset=7, is_ours=is_ours))
        found = cards.failed(key)
        assert found == Failed(kind="k", value=b"typed", offset=7, is_ours=False)
        assert "typed" not in repr(found)
