"""Ids of another kind than was asked for."""

import pytest

from cardwire.cli.ids import Of, expect
from cardwire.cli.letters import wish
from shared.core.errors import ConfigError
from tests.support.documents import is_documented

CARD = "cardwire card om_dc13264520392913993dd051dba21dcf"
EVENT = "f7984f25108f8137722bb63cee927e66"


@pytest.mark.parametrize(
    ("of", "given"),
    [
        ("card", "om_dc13264520392913993dd051dba21dcf"),
        ("event", EVENT),
        ("event", f"{EVENT}/2"),
        ("event", "req/cli/invoice-1042"),
        ("event", "dlq/3/17"),
        ("app", "cli_a1b2c3d4e5f60718"),
        ("app", "a_simulated_one"),
        ("chat", "oc_1"),
        ("person", "ou_1"),
        ("person", "on_1"),
        ("person", "ada"),
        ("receiver", "oc_1"),
        ("receiver", "ou_1"),
        ("receiver", "on_1"),
        ("receiver", "ada@example.com"),
        ("receiver", "ada"),
    ],
)
def test_an_id_of_the_right_kind_is_taken(of: Of, given: str) -> None:
    """Whatever the platform, or a person, may call it."""
    expect("ID", given, of, example="…")


@pytest.mark.parametrize(
    ("what", "of", "given", "told", "example"),
    [
        ("MESSAGE_ID", "card", EVENT, "an id of another kind: expected a card's open_message_id", CARD),
        ("MESSAGE_ID", "card", "oc_1", "a chat's id: expected a card's open_message_id", CARD),
        ("MESSAGE_ID", "card", "req/cli/1", "a request's id: expected a card's open_message_id", CARD),
        ("ID", "event", "om_1", "a card's id: expected an event's id", f"cardwire dlq show {EVENT}"),
        ("ID", "event", "cli_1", "an app's id: expected an event's id", f"cardwire dlq show {EVENT}"),
        ("--app", "app", "oc_1", "a chat's id: expected an app's id", "--app cli_a1b2c3d4e5f60718"),
        ("--chat", "chat", "om_1", "a card's id: expected a chat's id", "--chat oc_5ad11d72b830411d72b836c20"),
        (
            "--operator", "person", "oc_1", "a chat's id: expected a person's open, user or union id",
            "--operator ou_84aad35d084aa403a838cf73ee18467",
        ),
        ("--to", "receiver", "om_1", "a card's id: expected a chat, a person or an address", "--to oc_…"),
    ],
)  # fmt: skip
def test_an_id_of_another_kind_is_told_in_one_line(what: str, of: Of, given: str, told: str, example: str) -> None:
    """What it is, what was expected, and what that looks like."""
    with pytest.raises(ConfigError) as refused:
        expect(what, given, of, example=example)
    assert f"{what} is {told}, for example {example}" == str(refused.value)
    assert is_documented(str(refused.value))


@pytest.mark.parametrize(
    ("ids", "card", "app", "what"),
    [(["ev1", "om_1"], None, None, "ID"), ([], "ev1", None, "--card"), ([], None, "om_1", "--app")],
)
def test_dead_letters_are_asked_for_by_ids_of_their_kinds(
    ids: list[str], card: str | None, app: str | None, what: str
) -> None:
    """Otherwise none would be found, which looks as if nothing had failed."""
    with pytest.raises(ConfigError, match=f"^{what} is "):
        wish(ids, since=None, until=None, card=card, app=app, code=None, kind=None, handler=None)
