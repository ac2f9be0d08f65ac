"""How apps come by access tokens: what is asked, in what order, how often, and what is said where there is none."""

import asyncio
import gc
import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest
import structlog.testing

from shared.clock import ManualClock
from shared.core.ids import AppId, TenantKey
from shared.core.secret import Secret
from shared.feishu.limits import TOKEN_LIFE_S
from shared.feishu.openapi import ApiReply, ApiRequest, Token
from shared.settings import PlatformSettings
from worker.platform.granting import NO_TENANT, NO_TICKET, REMEMBERED_S, Granting
from worker.platform.tokens import Got, Unauthorized, Unreachable

APP, HOME, ABROAD = AppId("cli_store"), TenantKey("t1"), TenantKey("t2")
STORE = PlatformSettings(app_secret=Secret("s-planted"), app_type="store", domain="https://platform.example")
BAD_TICKET = 10012
SECRETS = ("s-planted", "ticket-planted", "a-planted", "t-planted")


@dataclass
class Shelf:
    """Tickets, as many as are put there; counts how often it was asked whether to ask for one."""

    ticket: str | None = "ticket-planted-1"
    allowed: bool = True
    asked: int = 0

    async def newest(self, _app_id: AppId) -> Secret | None:
        """Return the ticket."""
        return None if self.ticket is None else Secret(self.ticket)

    async def may_ask(self, _app_id: AppId) -> bool:
        """Say so, and count."""
        self.asked += 1
        return self.allowed


@dataclass
class Issuer:
    """
    The platform's token endpoints.

    Attributes:
        refusals: What is refused, by the last part of its path, with which code.
    """

    tickets: set[str] = field(default_factory=lambda: {"ticket-planted-1"})
    refusals: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    own: int = 1
    away: bool = False
    reset: str | None = None

    async def __call__(self, told: PlatformSettings, request: ApiRequest) -> ApiReply | Unreachable:
        """Answer a request."""
        assert told == STORE
        body = json.loads(request.body or b"{}")
        name = request.path.rpartition("v3/")[2]
        self.asked.append((name, body))
        await asyncio.sleep(0)
        if self.away:
            return Unreachable("away", sent=False)
        if code := self._refusal(name, body):
            headers = {} if self.reset is None else {"x-ogw-ratelimit-reset": self.reset}
            return _reply({"code": code, "msg": f"no: {body}"}, status=400, headers=headers)
        return _reply({"code": 0, "expire": TOKEN_LIFE_S, **self._granted(name, body)})

    def _refusal(self, name: str, body: Mapping[str, Any]) -> int | None:
        if name in self.refusals:
            return self.refusals[name]
        if name == "app_access_token" and body["app_ticket"] not in self.tickets:
            return BAD_TICKET
        stale = name == "tenant_access_token" and body["app_access_token"] != f"a-planted-{self.own}"
        return 99991664 if stale else None

    def _granted(self, name: str, body: Mapping[str, Any]) -> dict[str, str]:
        if name == "app_access_token":
            return {name: f"a-planted-{self.own}"}
        return {name: f"t-planted-{body['tenant_key']}"} if name == "tenant_access_token" else {}

    @property
    def names(self) -> list[str]:
        """What was asked for, in order."""
        return [name for name, _ in self.asked]


def _reply(
    content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> ApiReply:
    return ApiReply(status=status, headers=headers, body=json.dumps(content).encode())


def granting(issuer: Issuer, shelf: Shelf | None = None, clock: ManualClock | None = None) -> Granting:
    """Return how one store app comes by its tokens."""
    told = {APP: STORE}
    return Granting(told.get, issuer, shelf or Shelf(), clock or ManualClock())


def refused(got: Got) -> Unauthorized:
    """Return the refusal that was got."""
    assert isinstance(got, Unauthorized)
    return got


async def test_a_ticket_gives_an_app_token_and_that_one_for_each_organisation() -> None:
    """The app's own is asked for once, however many organisations ask at the same time."""
    issuer = Issuer()
    way = granting(issuer)
    home, abroad = await asyncio.gather(way.fetch(APP, HOME), way.fetch(APP, ABROAD))
    assert [Token(value=f"t-planted-{key}", expires_in_s=TOKEN_LIFE_S) for key in (HOME, ABROAD)] == [home, abroad]
    assert ["app_access_token", "tenant_access_token", "tenant_access_token"] == issuer.names
    own = {"app_id": APP, "app_secret": "s-planted", "app_ticket": "ticket-planted-1"}
    assert [own, {"app_access_token": "a-planted-1", "tenant_key": HOME}] == [body for _, body in issuer.asked[:2]]


async def test_an_app_token_that_ended_is_replaced_once() -> None:
    """The organisation's token is asked for again with the new one."""
    issuer = Issuer()
    way = granting(issuer)
    await way.fetch(APP, HOME)
    issuer.own = 2
    assert isinstance(await way.fetch(APP, HOME), Token)
    assert ["tenant_access_token", "app_access_token", "tenant_access_token"] == issuer.names[2:]
    issuer.refusals["tenant_access_token"] = 99991664
    assert isinstance(await way.fetch(APP, HOME), Unauthorized)
    assert ["tenant_access_token", "app_access_token", "tenant_access_token"] == issuer.names[5:]


async def test_the_app_token_is_renewed_half_an_hour_before_it_ends() -> None:
    """Like every token, in the background."""
    issuer, clock = Issuer(), ManualClock()
    way = granting(issuer, clock=clock)
    await way.fetch(APP, HOME)
    clock.advance(TOKEN_LIFE_S - 30 * 60 - 1)
    await way.fetch(APP, HOME)
    assert 1 == issuer.names.count("app_access_token")
    clock.advance(1)
    await way.fetch(APP, HOME)
    await way.fetch(APP, HOME)
    assert 2 == issuer.names.count("app_access_token")


@pytest.mark.parametrize(("ticket", "code"), [(None, None), ("ticket-planted-old", BAD_TICKET)])
async def test_without_a_good_ticket_another_is_asked_for_and_calls_wait(ticket: str | None, code: int | None) -> None:
    """It is nobody's fault that an operator could mend, and will pass: verdict retry, the app's breaker left alone."""
    issuer, shelf = Issuer(), Shelf(ticket=ticket)
    way = granting(issuer, shelf)
    with structlog.testing.capture_logs() as lines:
        refusal = refused(await way.fetch(APP, HOME))
    assert ("retry", code, False, NO_TICKET) == (
        refusal.error.verdict,
        refusal.error.code,
        refusal.of_app,
        refusal.reason,
    )
    assert ("app_ticket/resend", {"app_id": APP, "app_secret": "s-planted"}) == issuer.asked[-1]
    assert [("app_ticket_asked_for", APP, code)] == [(one["event"], one["app_id"], one["refused"]) for one in lines]
    shelf.allowed = False
    await way.fetch(APP, HOME)
    assert (1, 2) == (issuer.names.count("app_ticket/resend"), shelf.asked)
    shelf.ticket = "ticket-planted-1"
    assert isinstance(await way.fetch(APP, HOME), Token)


async def test_an_app_that_is_not_of_the_store_is_a_matter_of_configuration() -> None:
    """The platform refuses to push it a ticket, and says so."""
    refusal = refused(
        await granting(Issuer(refusals={"app_ticket/resend": 10016}), Shelf(ticket=None)).fetch(APP, HOME)
    )
    assert (10016, True) == (refusal.error.code, refusal.of_app)


async def test_an_organisation_that_removed_the_app_stops_no_other() -> None:
    """Its own calls fail; the app's breaker is not opened by it."""
    issuer = Issuer(refusals={"tenant_access_token": 10013})
    way = granting(issuer)
    refusal = refused(await way.fetch(APP, ABROAD))
    assert (10013, "configuration", False) == (refusal.error.code, refusal.error.verdict, refusal.of_app)
    issuer.refusals.clear()
    assert isinstance(await way.fetch(APP, HOME), Token)


async def test_an_organisation_that_was_refused_is_asked_about_twice_a_minute_at_most() -> None:
    """However many of its effects wait; it may install the app again."""
    issuer, clock = Issuer(refusals={"tenant_access_token": 10013}), ManualClock()
    way = granting(issuer, clock=clock)
    for _ in range(100):
        refused(await way.fetch(APP, ABROAD))
        clock.advance(0.299)
    assert 1 == issuer.names.count("tenant_access_token")
    issuer.refusals.clear()
    clock.advance(1)
    assert isinstance(await way.fetch(APP, ABROAD), Token)


@pytest.mark.parametrize("name", ["app_access_token", "tenant_access_token"])
@pytest.mark.parametrize(("reset", "wait_s"), [("30", 30.0), (None, 1.0)])
async def test_whoever_asks_for_tokens_too_fast_is_not_asking_for_as_long_as_told(
    name: str, reset: str | None, wait_s: float
) -> None:
    """No effect asks meanwhile, for whichever organisation, and each is told how much of that is left."""
    issuer, clock = Issuer(refusals={name: 99991400}, reset=reset), ManualClock()
    way = granting(issuer, clock=clock)
    assert "rate_limit" == refused(await way.fetch(APP, HOME)).error.verdict
    issuer.refusals.clear()
    asked = len(issuer.asked)
    clock.advance(wait_s - 0.25)
    for whose in (HOME, ABROAD):
        limited = refused(await way.fetch(APP, whose)).error
        assert ("rate_limit", 250) == (limited.verdict, limited.retry_after_ms)
    assert asked == len(issuer.asked)
    clock.advance(0.25)
    assert isinstance(await way.fetch(APP, HOME), Token)


async def test_an_app_of_ones_own_obeys_the_limit_of_asking_too() -> None:
    """It has one token, and one request for it."""
    asked: list[str] = []

    async def ask(_told: PlatformSettings, request: ApiRequest) -> ApiReply | Unreachable:
        asked.append(request.path)
        return _reply({"code": 99991400, "msg": "no"}, status=429, headers={"x-ogw-ratelimit-reset": "30"})

    own, clock = {APP: replace(STORE, app_type="custom")}, ManualClock()
    way = Granting(own.get, ask, Shelf(), clock)
    left = [refused(await way.fetch(APP, HOME)).error.retry_after_ms]
    clock.advance(20)
    left.append(refused(await way.fetch(APP, HOME)).error.retry_after_ms)
    assert ([30_000, 10_000], 1) == (left, len(asked))


async def test_a_ticket_that_was_refused_is_not_tried_for_every_call() -> None:
    """Half a minute it is taken for bad; a newer one is tried at once."""
    issuer, clock, shelf = Issuer(), ManualClock(), Shelf(ticket="ticket-planted-old", allowed=False)
    way = granting(issuer, shelf, clock)
    for _ in range(100):
        refusal = refused(await way.fetch(APP, HOME))
        assert (NO_TICKET, BAD_TICKET) == (refusal.reason, refusal.error.code)
        clock.advance(0.299)
    assert ["app_access_token"] == issuer.names
    clock.advance(1)
    refused(await way.fetch(APP, HOME))
    assert 2 == len(issuer.names)
    shelf.ticket = "ticket-planted-1"
    assert isinstance(await way.fetch(APP, HOME), Token)


async def test_a_wrong_secret_is_about_the_whole_app() -> None:
    """No organisation's calls would come through."""
    refusal = refused(await granting(Issuer(refusals={"app_access_token": 10014})).fetch(APP, HOME))
    assert (10014, "configuration", True) == (refusal.error.code, refusal.error.verdict, refusal.of_app)


async def test_a_call_in_nobodys_name_gets_no_token() -> None:
    """Nothing is asked."""
    issuer = Issuer()
    refusal = refused(await granting(issuer).fetch(APP, TenantKey("")))
    assert (NO_TENANT, False, []) == (refusal.reason, refusal.of_app, issuer.asked)


@pytest.mark.parametrize("shelf", [Shelf(), Shelf(ticket=None)])
async def test_a_platform_that_cannot_be_reached_is_told_as_such(shelf: Shelf) -> None:
    """It is not taken for a missing ticket."""
    got = await granting(Issuer(away=True), shelf).fetch(APP, HOME)
    assert isinstance(got, Unreachable)
    assert not got.sent


async def test_an_app_that_nobody_told_of_gets_no_token() -> None:
    """It is a matter of configuration."""
    refusal = refused(await granting(Issuer()).fetch(AppId("cli_other"), HOME))
    assert "configuration" == refusal.error.verdict


@pytest.mark.parametrize(
    "issuer",
    [
        Issuer(),
        Issuer(tickets=set()),
        Issuer(refusals={"tenant_access_token": 10013}),
        Issuer(refusals={"app_access_token": 5000}),
    ],
)
async def test_no_secret_is_in_what_is_told(issuer: Issuer) -> None:
    """No ticket, token or secret in lines, errors and representations."""
    with structlog.testing.capture_logs() as lines:
        got = await granting(issuer).fetch(APP, HOME)
    told = f"{got!r} {got} {lines} {replace(STORE)!r} {getattr(got, 'error', None)!r}"
    assert [] == [secret for secret in SECRETS if secret in told]


async def test_a_refusal_that_counts_no_more_is_forgotten() -> None:
    """A worker of a store app does not grow by every organisation that has ever removed it."""
    issuer, clock = Issuer(refusals={"tenant_access_token": 10003}), ManualClock()
    way = granting(issuer, clock=clock)
    first = weakref.ref(refused(await way.fetch(APP, HOME)))
    gc.collect()
    assert first() is not None
    clock.advance(REMEMBERED_S)
    refused(await way.fetch(APP, ABROAD))
    gc.collect()
    assert first() is None
