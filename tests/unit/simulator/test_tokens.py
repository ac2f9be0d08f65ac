import pytest

from tests.unit.simulator.world import APP_ID, SECRET, World

PATH = "auth/v3/tenant_access_token/internal"


def ask(world: World, app_id: object = APP_ID, app_secret: object = SECRET) -> dict[str, object]:
    """Ask for a tenant access token."""
    return world.call("POST", PATH, {"app_id": app_id, "app_secret": app_secret}, authorization=None).body


def test_a_token_is_answered_at_top_level_and_lives_two_hours() -> None:
    """A token answer has no data member and tells its life in seconds."""
    answer = ask(World())
    assert (0, "ok", 7200) == (answer["code"], answer["msg"], answer["expire"])
    assert str(answer["tenant_access_token"]).startswith("t-")


def test_with_thirty_minutes_left_the_same_token_comes_again() -> None:
    """Asking early is useless: the same token comes with what is left of its life."""
    world = World()
    first = ask(world)
    world.clock.advance(90 * 60)
    again = ask(world)
    assert (first["tenant_access_token"], 30 * 60) == (again["tenant_access_token"], again["expire"])


def test_with_less_than_thirty_minutes_left_a_new_token_comes_and_both_are_valid() -> None:
    """The old token goes on being accepted until its own end."""
    world = World()
    old = ask(world)["tenant_access_token"]
    world.clock.advance(90 * 60 + 1)
    new = ask(world)["tenant_access_token"]
    assert old != new
    path = f"im/v1/chats/{world.chat}"
    assert [0, 0] == [world.call("GET", path, authorization=f"Bearer {token}").code for token in (old, new)]


def test_a_token_ends_after_two_hours() -> None:
    """At its end a token is refused as expired."""
    world = World()
    token = ask(world)["tenant_access_token"]
    path = f"im/v1/chats/{world.chat}"
    world.clock.advance(7199)
    assert world.call("GET", path, authorization=f"Bearer {token}").code == 0
    world.clock.advance(1)
    assert world.call("GET", path, authorization=f"Bearer {token}").code == 99991663


@pytest.mark.parametrize(
    ("app_id", "app_secret", "code"),
    [
        (APP_ID, "wrong", 10014),
        ("cli_other", SECRET, 99991543),
        (APP_ID, "", 10003),
        (None, SECRET, 10003),
        (APP_ID, 7, 10003),
    ],
)
def test_wrong_credentials_get_no_token(app_id: object, app_secret: object, code: int) -> None:
    """Each mistake in the credentials has its own code, and no token comes with it."""
    answer = ask(World(), app_id, app_secret)
    assert code == answer["code"]
    assert "tenant_access_token" not in answer


@pytest.mark.parametrize(
    ("authorization", "code"),
    [(None, 99991661), ("Bearer nonsense", 99991671), ("Bearer t-never-issued", 99991663)],
)
def test_a_call_without_a_valid_token_is_refused(authorization: str | None, code: int) -> None:
    """No token, a malformed one and an unknown one are three refusals."""
    world = World()
    reply = world.call("GET", f"im/v1/chats/{world.chat}", authorization=authorization)
    assert (400, code) == (reply.status, reply.code)


def test_revoked_tokens_are_refused_and_a_new_one_is_given() -> None:
    """After a revocation the next request for a token brings another one."""
    world = World()
    old = ask(world)["tenant_access_token"]
    world.platform.access_tokens.revoke()
    assert world.call("GET", f"im/v1/chats/{world.chat}", authorization=f"Bearer {old}").code == 99991663
    assert old != ask(world)["tenant_access_token"]


def test_an_app_access_token_is_the_tenants() -> None:
    """For an app of one's own both tokens are the same."""
    body = {"app_id": APP_ID, "app_secret": SECRET}
    answer = World().call("POST", "auth/v3/app_access_token/internal", body, authorization=None).body
    assert answer["app_access_token"] == answer["tenant_access_token"]
