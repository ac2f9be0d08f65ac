"""A store app in two organisations: its tickets by way of the log, its tokens and limits apart, its requests named."""

import asyncio
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

from shared.core.effects import SendText
from shared.core.events import EffectOutcome, RequestReceived, request_event_id
from shared.core.ids import AppId, TenantKey
from tests.scenario.handlers import BLANK, COUNT, SEND, app_of_stories
from tests.support import facts
from tests.support.commands import run
from tests.support.facts import NOW
from tests.support.world import ENCRYPTED, Stack, World, clock_of_now, files, world
from worker.platform.granting import NO_TICKET

STORE = {**ENCRYPTED, "LARK_APP_TYPE": "store", "CARDWIRE_SIMULATOR_STORE_APP": "true"}
ABROAD = TenantKey("736588c92lxf175d")
PATIENCE_S = 5.0
RESEND = "auth.v3.app_ticket.resend"
OWN = "auth.v3.app_access_token"
OF_TENANT = "auth.v3.tenant_access_token"


async def two_cards(running: World) -> tuple[str, str]:
    """Put a card into a chat of each organisation."""
    platform = running.simulator.platform
    chats = [platform.new_chat("值班群"), platform.new_chat("海外群", tenant_key=ABROAD)]
    home, abroad = [running.simulator.put_card(chat.chat_id, BLANK) for chat in chats]
    return home, abroad


def shown(running: World, message_id: str) -> dict[str, Any]:
    """Return the card that everybody sees."""
    card = running.simulator.platform.message(message_id).card
    return {} if card is None else dict(json.loads(card.text))


async def clicked(running: World, *message_ids: str) -> None:
    """Click on cards, and wait until everything is done."""
    for message_id in message_ids:
        await running.simulator.click(message_id, COUNT)
    await running.quiet()


async def test_the_first_call_has_a_ticket_pushed_and_waits_for_it(stack: Stack) -> None:
    """Nothing is lost, no attempt is counted, and the platform is asked once for both organisations."""
    async with world(stack, app_of_stories(), credentials=STORE) as running:
        await clicked(running, *(cards := await two_cards(running)))
        assert [1, 1] == [shown(running, card)["n"] for card in cards]
        assert (1, 1) == (len(running.calls(RESEND)), len([c for c in running.calls(OWN) if c.code == 0]))
        assert {None, ABROAD} < {call.target for call in running.calls(OF_TENANT)} | {None}
        waited = [outcome for outcome in await running.outcomes() if outcome.reason == NO_TICKET]
        assert waited
        assert {(False, 0, "failed")} == {(one.final, one.attempts, one.status) for one in waited}
        assert {1} == {one.attempts for one in await running.outcomes() if one.status == "succeeded"}
        await running.check()


async def pushed(running: World) -> None:
    """Have the platform push a ticket, as it does every hour, and wait until it is in the ledger."""
    before = await running.ledger.app_ticket(AppId(running.env["LARK_APP_ID"]))
    ticket = running.simulator.platform.access_tokens.new_ticket(now=running.simulator.platform.clock.now())
    await running.simulator.deliverer.ticket(ticket)
    await running.quiet()
    after = await running.ledger.app_ticket(AppId(running.env["LARK_APP_ID"]))
    assert after is not None
    assert after != before


async def test_a_worker_that_begins_has_the_ticket_from_the_ledger(either_ledger: Stack) -> None:
    """It was pushed to one that is gone; nobody has to ask for another."""
    async with world(either_ledger, app_of_stories(), credentials=STORE, workers=0) as running:
        cards = await two_cards(running)
        async with running.worker():
            await pushed(running)
        async with running.worker():
            await clicked(running, *cards)
        assert [1, 1] == [shown(running, card)["n"] for card in cards]
        assert [] == running.calls(RESEND)
        await running.check()


async def test_tokens_of_one_organisation_are_renewed_alone(either_ledger: Stack) -> None:
    """One is revoked: its next call has a fresh one, once, and the other's goes on with what it has."""
    async with world(either_ledger, app_of_stories(), credentials=STORE) as running:
        await pushed(running)
        home, abroad = await two_cards(running)
        await clicked(running, home, abroad)
        asked = Counter(call.target for call in running.calls(OF_TENANT))
        running.simulator.platform.access_tokens.revoke(ABROAD)
        await clicked(running, home, abroad)
        more = Counter(call.target for call in running.calls(OF_TENANT)) - asked
        assert {ABROAD: 1} == more
        assert 1 == len(running.calls(OWN))
        assert [2, 2] == [shown(running, card)["n"] for card in (home, abroad)]
        await running.check()


async def test_a_revoked_app_token_is_replaced_with_the_newest_ticket(either_ledger: Stack) -> None:
    """All tokens and older tickets end, as when a secret is changed; the ticket of the last hour gives new ones."""
    async with world(either_ledger, app_of_stories(), credentials=STORE) as running:
        await pushed(running)
        cards = await two_cards(running)
        await clicked(running, *cards)
        tokens = running.simulator.platform.access_tokens
        tokens.revoke_tickets()
        await pushed(running)
        tokens.revoke()
        await clicked(running, *cards)
        assert [2, 2] == [shown(running, card)["n"] for card in cards]
        assert (2, []) == (len(running.calls(OWN)), running.calls(RESEND))
        await running.check()


async def test_a_ticket_that_is_no_longer_taken_is_asked_for_again_once_a_minute(either_ledger: Stack) -> None:
    """Until it comes, effects wait; then they are performed."""
    async with world(either_ledger, app_of_stories(), credentials=STORE, clock=clock_of_now()) as running:
        await pushed(running)
        home, _ = await two_cards(running)
        running.simulator.platform.access_tokens.revoke_tickets()
        urls, running.simulator.callback_urls = running.simulator.callback_urls, ()
        await running.append(_click(running, home))
        await running.until(lambda: len(running.calls(RESEND)) == 3, patience_s=60)
        asked = [call.at_ms for call in running.calls(RESEND)]
        assert all(later - earlier >= 60_000 for earlier, later in itertools.pairwise(asked))
        running.simulator.callback_urls = urls
        await running.until(lambda: "n" in shown(running, home), patience_s=60)
        await running.quiet()
        await running.check()


def _click(running: World, message_id: str) -> Any:
    at = running.simulator.platform.clock.now()
    tenant = running.simulator.platform.app.tenant_key
    return facts.click(message_id=message_id, value=COUNT, tenant_key=tenant, occurred_at=at, received_at=at)


async def test_one_organisations_backlog_holds_up_no_other(either_ledger: Stack) -> None:
    """Each has limits of its own: eighty texts go to one in two seconds and more, those of the other at once."""
    async with world(either_ledger, app_of_stories(), credentials=STORE, clock=clock_of_now()) as running:
        running.busy.patience_s = PATIENCE_S
        await pushed(running)
        platform = running.simulator.platform
        people = [f"ou_{n}" for n in range(80)]
        home = platform.app.tenant_key
        await running.append(*[asked(running, n, who, home) for n, who in enumerate(people)])
        await running.append(*[asked(running, n, f"ou_abroad_{n}", ABROAD) for n in range(100, 110)])
        platform.new_chat("海外群", tenant_key=ABROAD)
        await running.quiet()
        done = [outcome for outcome in await running.outcomes() if outcome.status == "succeeded"]
        assert {home: 80, ABROAD: 10} == Counter(outcome.tenant_key for outcome in done)
        lasted = {tenant: _span_ms(done, tenant) for tenant in (home, ABROAD)}
        assert lasted[home] > 1_000 > lasted[ABROAD]
        assert not platform.judge.violations
        await running.check()


def _span_ms(done: list[EffectOutcome], tenant: TenantKey) -> int:
    times = [outcome.started_at or 0 for outcome in done if outcome.tenant_key == tenant]
    return max(times) - min(times)


def asked(running: World, n: int, to: str, tenant: str) -> RequestReceived:
    """Return a text that a program asks for."""
    return RequestReceived(
        event_id=request_event_id("cli", f"r{n}"),
        app_id=AppId(running.env["LARK_APP_ID"]),
        tenant_key=TenantKey(tenant),
        caller="cli",
        request_id=f"r{n}",
        effects=(SendText("hi", to=to),),
        occurred_at=NOW,
        received_at=NOW,
    )


async def test_a_request_that_names_no_organisation_is_refused(either_ledger: Stack) -> None:
    """By the worker too, whoever wrote it into the log; nothing is sent."""
    async with world(either_ledger, app_of_stories(), credentials=STORE) as running:
        await running.append(asked(running, 1, "ou_1", ""))
        await running.quiet()
        (decision,) = await running.decisions()
        assert "refused" == decision.result
        assert "names none (tenant_key)" in (decision.reason or "")
        assert [] == running.calls(SEND)


async def test_the_command_line_sends_into_an_organisation(tmp_path: Path) -> None:
    """With --tenant; without it, one line says what is missing."""
    async with world(files(tmp_path), app_of_stories(), credentials=STORE) as running:
        await pushed(running)
        chat = running.simulator.platform.new_chat("海外群", tenant_key=ABROAD)
        (tmp_path / "card.json").write_text(json.dumps(BLANK))
        env = {
            "LARK_APP_ID": running.env["LARK_APP_ID"], "LARK_APP_TYPE": "store", "CARDWIRE_LOG": running.stack.log,
        }  # fmt: skip
        given = ["card.json", "--to", chat.chat_id]
        without = await asyncio.to_thread(run, "send", *given, env=env, cwd=tmp_path)
        assert (2, True) == (without.returncode, without.stderr.startswith("cardwire: --tenant is missing: expected"))
        sent = await asyncio.to_thread(run, "send", *given, "--tenant", ABROAD, env=env, cwd=tmp_path)
        assert 0 == sent.returncode
        await running.quiet()
        assert [ABROAD] == [call.tenant_key for call in running.calls(SEND)]
        await running.check()
