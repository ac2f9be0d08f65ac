from typing import Any

import pytest

from shared.core.ids import OpenId, TenantKey
from simulator.callbacks import Person
from simulator.platform import AppTicket
from tests.unit.simulator.world import APP_ID, SECRET, Reply, World, card

CREDENTIALS = {"app_id": APP_ID, "app_secret": SECRET}
ABROAD = TenantKey("t2")


class Store(World):
    """A store app that another organisation has too."""

    def __init__(self) -> None:
        super().__init__(is_store=True)
        self.abroad = self.platform.new_chat("海外群", tenant_key=ABROAD).chat_id

    def ask(self, path: str, **body: Any) -> Reply:
        """Ask an endpoint of tokens."""
        return self.call("POST", f"auth/v3/{path}", body, authorization=None)

    def ticket(self) -> str:
        """Ask for a ticket and return what is pushed."""
        assert 0 == self.ask("app_ticket/resend", **CREDENTIALS).code
        owed = self.platform.owed.popleft()
        assert isinstance(owed, AppTicket)
        return owed.ticket

    def app_token(self) -> str:
        """Return an app access token."""
        return str(self.ask("app_access_token", **CREDENTIALS, app_ticket=self.ticket()).body["app_access_token"])

    def token(self, tenant_key: str = ABROAD) -> str:
        """Return the header of calls in one organisation."""
        answer = self.ask("tenant_access_token", app_access_token=self.app_token(), tenant_key=tenant_key).body
        return f"Bearer {answer['tenant_access_token']}"


def test_a_ticket_gives_an_app_token_and_that_a_token_for_each_organisation() -> None:
    """Three steps, each answered at top level, with what is left of two hours."""
    world = Store()
    app = world.ask("app_access_token", **CREDENTIALS, app_ticket=world.ticket()).body
    assert (0, 7200, True) == (app["code"], app["expire"], app["app_access_token"].startswith("a-"))
    tokens = [
        world.ask("tenant_access_token", app_access_token=app["app_access_token"], tenant_key=key).body
        for key in ("t1", ABROAD, ABROAD)
    ]
    assert [7200, 7200, 7200] == [each["expire"] for each in tokens]
    home, abroad, again = (each["tenant_access_token"] for each in tokens)
    assert home != abroad == again
    assert abroad.startswith("t-")


def test_what_other_members_a_token_request_has_does_not_matter() -> None:
    """The official SDK for Python sends its credentials along."""
    world = Store()
    body = {**CREDENTIALS, "app_ticket": "x", "app_access_token": world.app_token(), "tenant_key": ABROAD}
    assert 0 == world.ask("tenant_access_token", **body).code


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("app_access_token", {**CREDENTIALS, "app_ticket": "unknown"}, 10012),
        ("app_access_token", CREDENTIALS, 10003),
        ("app_access_token", {**CREDENTIALS, "app_secret": "wrong", "app_ticket": "x"}, 10014),
        ("app_access_token", {"app_id": "cli_other", "app_secret": SECRET, "app_ticket": "x"}, 99991543),
        ("tenant_access_token", {"app_access_token": "a-unknown", "tenant_key": ABROAD}, 99991664),
        ("tenant_access_token", {"app_access_token": "a-unknown"}, 10003),
        ("tenant_access_token", {"tenant_key": ABROAD}, 10003),
        ("app_ticket/resend", {"app_id": APP_ID}, 10003),
        ("app_ticket/resend", {**CREDENTIALS, "app_secret": "wrong"}, 10014),
        ("tenant_access_token/internal", CREDENTIALS, 10005),
        ("app_access_token/internal", CREDENTIALS, 10005),
    ],
)
def test_what_gives_no_token_says_why(path: str, body: dict[str, Any], code: int) -> None:
    """Bad tickets, bad app tokens and bad credentials have their own codes; nothing is pushed."""
    world = Store()
    assert code == world.ask(path, **body).code
    assert [] == list(world.platform.owed)


def test_an_organisation_without_the_app_has_no_token() -> None:
    """Only those that have it: its own, and those with a chat here."""
    world = Store()
    assert 10013 == world.ask("tenant_access_token", app_access_token=world.app_token(), tenant_key="t9").code


def test_app_tokens_and_tickets_end() -> None:
    """The token after two hours, the ticket after twelve."""
    world = Store()
    ticket, token = world.ticket(), world.app_token()
    world.clock.advance(2 * 3600)
    assert 99991664 == world.ask("tenant_access_token", app_access_token=token, tenant_key=ABROAD).code
    world.clock.advance(10 * 3600)
    assert 10012 == world.ask("app_access_token", **CREDENTIALS, app_ticket=ticket).code


def test_revoked_tickets_are_refused_until_another_one_is_pushed() -> None:
    """A client that asks for a ticket then comes on."""
    world = Store()
    ticket = world.ticket()
    world.platform.access_tokens.revoke_tickets()
    assert 10012 == world.ask("app_access_token", **CREDENTIALS, app_ticket=ticket).code
    assert world.app_token()


def test_tokens_of_one_organisation_are_revoked_alone() -> None:
    """Calls in the other one go on."""
    world = Store()
    home, abroad = world.token("t1"), world.token()
    world.platform.access_tokens.revoke(ABROAD)
    assert 0 == world.call("GET", f"im/v1/chats/{world.chat}", authorization=home).code
    assert 99991663 == world.call("GET", f"im/v1/chats/{world.abroad}", authorization=abroad).code


def test_an_app_of_ones_own_has_no_tickets() -> None:
    """It cannot ask for one, and no ticket gives it a token."""
    world = World()
    resent = world.call("POST", "auth/v3/app_ticket/resend", CREDENTIALS, authorization=None)
    asked = world.call("POST", "auth/v3/app_access_token", {**CREDENTIALS, "app_ticket": "x"}, authorization=None)
    assert [10016, 10012] == [resent.code, asked.code]


def test_a_token_reaches_what_is_in_its_organisation() -> None:
    """Chats, messages and cards of another one are refused, each in its own way."""
    world = Store()
    home, abroad = world.token("t1"), world.token()
    message_id = world.put(card())
    click = world.open_click(message_id)
    world.close_click(click)
    text = {"receive_id": world.chat, "msg_type": "text", "content": '{"text":"hi"}'}
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"im/v1/chats/{world.chat}", None),
        ("PUT", f"im/v1/chats/{world.chat}", {"name": "x"}),
        ("GET", f"im/v1/messages/{message_id}", None),
        ("PATCH", f"im/v1/messages/{message_id}", {"content": "{}"}),
        ("POST", f"im/v1/messages/{message_id}/reply", text),
        ("POST", "im/v1/messages", text),
        ("POST", "interactive/v1/card/update", {"token": click.card_token, "card": card("二")}),
        ("POST", "cardkit/v1/cards/id_convert", {"message_id": message_id}),
        (
            "POST",
            "ephemeral/v1/send",
            {"chat_id": world.chat, "open_id": "ou_1", "msg_type": "interactive", "card": {}},
        ),
    ]
    query = {"receive_id_type": "chat_id"}
    codes = [world.call(*call, query=query, authorization=abroad).code for call in calls]
    assert [232010, 232010, 230027, 230027, 230027, 230002, 200310, 300311, 10002] == codes
    assert 0 == world.call(*calls[0], authorization=home).code


def test_a_person_is_written_to_in_their_organisation() -> None:
    """Where it is known; the two-person chats of two organisations are two."""
    world = Store()
    person = Person(open_id=OpenId("ou_carol"), tenant_key=ABROAD)
    world.close_click(world.open_click(world.put(card()), person))
    body = {"receive_id": "ou_carol", "msg_type": "text", "content": '{"text":"hi"}'}
    query = {"receive_id_type": "open_id"}
    codes = [
        world.call("POST", "im/v1/messages", body, query=query, authorization=token).code
        for token in (world.token("t1"), world.token())
    ]
    assert [99992364, 0] == codes


def test_limits_are_counted_for_each_organisation() -> None:
    """One organisation's calls hold up nobody else's."""
    world = Store()
    home, abroad = world.token("t1"), world.token()
    calls = [world.call("GET", f"im/v1/chats/{world.chat}", authorization=home).code for _ in range(51)]
    assert ([0] * 50 + [99991400]) == calls
    assert 0 == world.call("GET", f"im/v1/chats/{world.abroad}", authorization=abroad).code
    assert {"t1", ABROAD} == {each.tenant_key for each in world.platform.history.calls.after(0) if each.tenant_key}
