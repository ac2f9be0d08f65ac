"""Race rules, through the whole system: who wins, what losers see, and what a crash or a second worker changes."""

import asyncio
import json
import threading
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.answers import CardAnswer
from shared.core.decision import Card, Decision
from shared.core.effects import SendEphemeral, SendText, UpdateCard
from shared.core.errors import LedgerUnavailable
from shared.core.events import Answer, ClaimResult, InteractionReceived, Operator
from shared.core.ids import OpenId
from shared.core.json_text import json_text
from shared.eventlog.memory import MemoryLog
from tests.scenario.handlers import BLANK, PATCH, SEND
from tests.support import facts
from tests.support.dump import dump
from tests.support.world import Stack, World, clock_of_now, world

PEOPLE = [f"ou_{name}" for name in ("ada", "bob", "cat", "dan", "eve")]
ANSWERED: dict[str, Any] = {**BLANK, "is": "being taken"}


def app_of_races() -> App:
    """Return handlers under each rule; whoever is let through is shown, losers are told in a text."""
    app = App()

    def late(_click: Interaction, _card: Card | None) -> list[SendText]:
        return [SendText(f"late {_click.operator.open_id}")]

    @app.on_action("take", once="per_card", lost=late)
    def take(click: Interaction, _card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({**BLANK, "by": click.operator.open_id})]

    @app.on_action("answered", once="per_card", answer=CardAnswer(ANSWERED))
    def answered(click: Interaction, _card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({**BLANK, "by": click.operator.open_id})]

    @app.on_action(
        "whisper", once="per_card", lost=lambda click, _card: [SendEphemeral({**BLANK, "to": click.winners})]
    )
    def whisper(_click: Interaction, _card: Card | None) -> None:
        """Take it."""

    @app.on_action("sign", once="per_user")
    def sign(click: Interaction, _card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({**BLANK, "signed": click.winners})]

    @app.on_action("approve", quorum=3)
    def approve(click: Interaction, _card: Card | None) -> Decision:
        return Decision(state="approved", effects=[UpdateCard({**BLANK, "approved": click.voters})])

    return app


async def clicked(running: World, message_id: str, action: str, people: list[str]) -> None:
    """Let people click at the same moment."""
    await asyncio.gather(*[running.simulator.click(message_id, {"action": action}, open_id=who) for who in people])


async def results(running: World) -> Counter[ClaimResult]:
    """Return how many clicks came to what."""
    return Counter(decision.result for decision in await running.decisions())


async def test_of_five_who_click_at_once_one_takes_it(stack: Stack) -> None:
    """One decision, one card; the four others are told, and everybody's click is recorded."""
    async with world(stack, app_of_races()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await clicked(running, message_id, "take", PEOPLE)
        await running.quiet()
        assert {"decided": 1, "refused": 4} == await results(running)
        (winner,) = [who for decision in await running.decisions() for who in decision.winners]
        assert {"by": winner}.items() <= shown(running, message_id).items()
        assert (1, 4) == (len(running.calls(PATCH)), len(running.calls(SEND)))
        await running.check()


async def test_a_loser_is_told_on_a_card_that_nobody_else_sees(either_ledger: Stack) -> None:
    """Who won stands on it."""
    async with world(either_ledger, app_of_races()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await clicked(running, message_id, "whisper", ["ou_ada"])
        await clicked(running, message_id, "whisper", ["ou_bob"])
        await running.quiet()
        (call,) = running.calls("ephemeral.v1.send")
        assert 0 == call.code
        (lost,) = [one for one in await running.decisions() if one.result == "refused"]
        (shown_once,) = lost.effects
        assert SendEphemeral({**BLANK, "to": ["ou_ada"]}, to="ou_bob") == shown_once.effect
        await running.check()


async def test_everybody_signs_once(either_ledger: Stack) -> None:
    """However often they click."""
    async with world(either_ledger, app_of_races()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await clicked(running, message_id, "sign", PEOPLE * 2)
        await running.quiet()
        assert {"decided": 5, "refused": 5} == await results(running)
        assert set(PEOPLE) == set(shown(running, message_id)["signed"])
        await running.check()


async def test_three_different_people_approve(either_ledger: Stack) -> None:
    """The third click is decided; earlier ones counted, later ones refused."""
    async with world(either_ledger, app_of_races()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        for who in ["ou_ada", "ou_ada", "ou_bob"]:
            await clicked(running, message_id, "approve", [who])
        await running.quiet()
        assert {"counted": 3} == await results(running)
        assert [] == running.calls(PATCH)
        await clicked(running, message_id, "approve", ["ou_cat"])
        await clicked(running, message_id, "approve", ["ou_dan"])
        await running.quiet()
        assert {"counted": 3, "decided": 1, "refused": 1} == await results(running)
        assert ["ou_ada", "ou_bob", "ou_cat"] == shown(running, message_id)["approved"]
        await running.check()


async def test_a_count_outlives_the_worker(either_ledger: Stack) -> None:
    """Two voted before it was restarted, the third reaches the quorum behind it."""
    async with world(either_ledger, app_of_races(), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker():
            await clicked(running, message_id, "approve", ["ou_ada", "ou_bob"])
            await running.until(lambda: counted(running, 2))
        async with running.worker():
            await clicked(running, message_id, "approve", ["ou_cat"])
            await running.quiet()
        assert {"counted": 2, "decided": 1} == await results(running)
        assert {"ou_ada", "ou_bob", "ou_cat"} == set(shown(running, message_id)["approved"])
        await running.check()


async def counted(running: World, clicks: int) -> bool:
    """Say whether so many clicks are decided."""
    return len((await dump(running.ledger.database)).claims) == clicks


async def test_a_losers_answer_is_replaced_with_the_winners_card(either_ledger: Stack) -> None:
    """The answer is painted before anybody knows; the intended card is sent after it, once, and nobody else's."""
    async with world(either_ledger, app_of_races()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await clicked(running, message_id, "answered", ["ou_ada"])
        await running.quiet()
        await clicked(running, message_id, "answered", ["ou_bob"])
        assert ANSWERED == shown(running, message_id)
        await running.quiet()
        assert {"decided": 1, "refused": 1} == await results(running)
        assert {**BLANK, "by": "ou_ada"} == shown(running, message_id)
        versions = running.simulator.platform.message(message_id).versions
        assert ["sent", "answer", "patch", "answer", "patch"] == [version.by for version in versions]
        await running.check()


async def test_a_newer_card_waits_for_the_answer_of_a_click_that_lost(either_ledger: Stack) -> None:
    """It would be painted over by that answer; then it takes the place of what would have been shown again."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_races(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        ada = fact(message_id, "answered", "ou_ada", clock.now())
        bob = fact(message_id, "answered", "ou_bob", clock.now())
        sign = fact(message_id, "sign", "ou_cat", clock.now())
        await running.append(ada, facts.mark(ada), bob, sign, facts.mark(sign))
        await running.quiet()
        assert ["ou_cat"] == shown(running, message_id)["signed"]
        assert 2 == len(running.calls(PATCH))
        (restored,) = [outcome for outcome in await running.outcomes() if outcome.event_id == bob.event_id]
        assert ("superseded", "by sign-ou_cat/1") == (restored.status, restored.reason)
        await running.check()


def fact(message_id: str, action: str, who: str, at: int) -> InteractionReceived:
    """Return somebody's click as the gateway logs it."""
    answer = Answer(card=json_text(ANSWERED)) if action == "answered" else Answer()
    return facts.click(
        f"{action}-{who}",
        message_id=message_id,
        value={"action": action},
        operator=Operator(open_id=OpenId(who)),
        occurred_at=at,
        received_at=at,
        answer=answer,
    )


@pytest.mark.timeout(60)
async def test_two_workers_that_decide_the_same_clicks_let_one_win(stack: Stack) -> None:
    """Both are in the handler at the same moment, both believe that they decide: one is fenced."""
    meeting = threading.Barrier(2)
    app = App()

    @app.on_action("take", once="per_card")
    def take(click: Interaction, _card: Card | None) -> list[SendText]:
        try:
            meeting.wait(0.5)
        except threading.BrokenBarrierError:
            meeting.reset()
        return [SendText(f"taken by {click.operator.open_id}")]

    shared = MemoryLog() if stack.log.startswith("sqlite") else None
    async with world(stack, app, workers=0, shared_log=shared) as running, AsyncExitStack() as both:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        for name in ("one", "two"):
            await both.enter_async_context(running.worker({"CARDWIRE_GROUP": name}))
        await clicked(running, message_id, "take", PEOPLE)
        await running.quiet()
        assert {"decided": 1, "refused": 4} == await results(running)
        assert 1 == len(running.calls(SEND))
        await running.check()


class DiesInTheCommit:
    """A ledger whose first write of a decision is stored, and whose answer is lost: the worker cannot know."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind
        self.died = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    async def write(self, write: Any) -> int:
        """Store it; the first time with claims, say that it was not."""
        at: int = await self._behind.write(write)
        if write.claims and not self.died:
            self.died = True
            raise LedgerUnavailable("the answer to a commit was lost")
        return at


async def test_a_winner_whose_commit_was_not_heard_of_wins_no_second_time(either_ledger: Stack) -> None:
    """The batch is decided again on what is stored by then, and loses nothing and nobody."""
    async with world(either_ledger, app_of_races(), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        dying = DiesInTheCommit(running.ledger)
        async with running.worker(ledger=dying):
            await clicked(running, message_id, "take", PEOPLE)
            await running.quiet()
        assert dying.died
        assert {"decided": 1, "refused": 4} == await results(running)
        assert 1 == len(running.calls(PATCH))
        await running.check()


def shown(running: World, message_id: str) -> dict[str, Any]:
    """Return the card that everybody sees."""
    card = running.simulator.platform.message(message_id).card
    return {} if card is None else dict(json.loads(card.text))
