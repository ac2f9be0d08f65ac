from shared.core.ids import AppId, EventId, MessageId, ordering_key


def test_records_about_one_card_share_a_key() -> None:
    """A card's whole story lies in one partition, whatever event tells it."""
    first = ordering_key(AppId("cli_1"), MessageId("om_1"), EventId("e1"))
    assert first == ordering_key(AppId("cli_1"), MessageId("om_1"), EventId("e2"))
    assert first != ordering_key(AppId("cli_2"), MessageId("om_1"), EventId("e1"))


def test_a_record_without_a_card_is_keyed_by_its_event() -> None:
    """Events of the same app need no order among each other."""
    assert "cli_1:e1" == ordering_key(AppId("cli_1"), None, EventId("e1"))
