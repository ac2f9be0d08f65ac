"""Dead letters, looked at and tried again by the command line, beside a running worker."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import SendText, UpdateCard
from shared.core.errors import Undecodable
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord
from simulator.faults import FaultRule
from tests.scenario.handlers import BLANK, PATCH, SEND
from tests.support import facts
from tests.support.commands import run
from tests.support.dump import dump
from tests.support.world import Stack, World, clock_of_now, files, world
from worker.app import RunningWorker
from worker.ledger.leased import EffectKey


class Mood:
    """Whether handlers fail."""

    fails = True


def moody(mood: Mood, **on_error: Any) -> App:
    """Return handlers that fail while they are in the mood to, and count the card's presses otherwise."""
    app = App()

    @app.on_action("press", **on_error)
    def press(click: Interaction, card: Card | None) -> Decision:
        if mood.fails:
            raise RuntimeError("secret of a person")
        pressed = [*(card.state if card and card.state else []), click.value["n"]]
        return Decision(effects=[UpdateCard({**BLANK, "pressed": pressed})], state=pressed)

    @app.on_action("shout")
    def shout(click: Interaction, card: Card | None) -> list[SendText]:
        return [SendText("hello", to="oc_gone")]

    return app


async def dlq(running: World, *arguments: str, folder: Path) -> tuple[int, list[Any], str]:
    """Run `cardwire dlq` on a world's ledger and log; return its code, its JSON lines, and what it complains of."""
    path = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    env = {**path, **running.stack.env()}
    done = await asyncio.to_thread(run, "dlq", *arguments, env=env, cwd=folder)
    lines = done.stdout.splitlines()
    return done.returncode, [json.loads(line) for line in lines] if "--json" in arguments else lines, done.stderr


async def pressed(running: World, *numbers: int, message_id: str | None = None) -> str:
    """Press a card's button, so often, and wait until everything is at rest."""
    card = message_id or running.simulator.put_card(await running.chat(), BLANK)
    for number in numbers:
        await running.simulator.click(card, {"action": "press", "n": number})
        await running.quiet()
    return card


async def state(running: World, message_id: str) -> Any:
    """Return a card's state."""
    rows = [row for row in (await dump(running.ledger.database)).cards if row["message_id"] == message_id]
    return json.loads(rows[0]["state"]) if rows else None


async def results(running: World) -> Sequence[tuple[str, int, str | None]]:
    """Return what was decided, in the log's order of a single card."""
    return [(decided.result, decided.redrive, decided.reason) for decided in await running.decisions()]


async def test_a_failed_click_is_decided_again_once_when_its_handler_is_well(stack: Stack, tmp_path: Path) -> None:
    """The card changes at last; the letter is gone; a second wish for the same changes nothing."""
    mood = Mood()
    async with world(stack, moody(mood)) as running:
        card = await pressed(running, 1)
        code, listed, _ = await dlq(running, "list", "--json", folder=tmp_path)
        assert (0, 1) == (code, len(listed))
        assert ("handler", card, 0) == (listed[0]["kind"], listed[0]["message_id"], listed[0]["redrives"])
        assert listed[0]["what"].endswith("press")
        assert listed[0]["reason"].startswith("RuntimeError in ")
        assert "secret of a person" not in json.dumps(listed)
        await dlq(running, "redrive", "--all", folder=tmp_path)
        await running.quiet()
        mood.fails = False
        code, told, _ = await dlq(running, "redrive", listed[0]["id"], "--json", folder=tmp_path)
        assert (0, [{"redriven": 1, "meant": 1, "left": 0}]) == (code, told)
        await running.quiet()
        assert [1] == await state(running, card)
        assert 1 == len(running.calls(PATCH))
        found = await results(running)
        assert [("failed", 0), ("failed", 1), ("decided", 2)] == [(result, redrive) for result, redrive, _ in found]
        assert (0, []) == (await dlq(running, "list", "--json", folder=tmp_path))[:2]
        await running.append(facts.redrive(listed[0]["id"], 2, message_id=card, app_id=listed[0]["app_id"]))
        await running.append(facts.redrive(listed[0]["id"], 3, message_id=card, app_id=listed[0]["app_id"]))
        await running.quiet()
        assert 3 == len(await results(running))
        await running.check()


async def test_a_card_that_parks_stands_still_until_it_is_redriven_in_order(
    either_ledger: Stack, tmp_path: Path
) -> None:
    """Later presses are kept behind the one that failed, and other cards go on."""
    mood = Mood()
    async with world(either_ledger, moody(mood, on_error="park_card")) as running:
        card = await pressed(running, 1)
        mood.fails = False
        await pressed(running, 2, 3, message_id=card)
        other = await pressed(running, 9)
        assert (None, [9]) == (await state(running, card), await state(running, other))
        _, listed, _ = await dlq(running, "list", "--card", card, "--json", folder=tmp_path)
        assert [True] * 3 == [letter["parks"] for letter in listed]
        assert ["parked"] * 2 == [letter["reason"] for letter in listed[1:]]
        assert [None, listed[0]["id"], listed[0]["id"]] == [letter.get("behind") for letter in listed]
        assert ["(its turn)"] * 2 == [letter["what"] for letter in listed[1:]]
        _, lines, _ = await dlq(running, "list", folder=tmp_path)
        assert f"{card} stands still; in its order, oldest first: cardwire dlq redrive --card {card}" == lines[-1]
        code, _, complaint = await dlq(running, "redrive", listed[2]["id"], folder=tmp_path)
        assert (1, True) == (code, f"{listed[0]['id']} goes first: in its order by" in complaint), complaint
        await running.quiet()
        assert await state(running, card) is None
        await dlq(running, "redrive", "--card", card, folder=tmp_path)
        await running.quiet()
        assert [1, 2, 3] == await state(running, card)
        await pressed(running, 4, message_id=card)
        assert [1, 2, 3, 4] == await state(running, card)
        assert [] == (await dlq(running, "list", "--json", folder=tmp_path))[1]
        await running.check()


async def test_an_effect_that_was_given_up_is_performed_again_and_never_decided_again(
    stack: Stack, tmp_path: Path
) -> None:
    """Its row is pending once more, which is told as an outcome; it ends as the platform says."""
    async with world(stack, moody(Mood())) as running:
        card = running.simulator.put_card(await running.chat(), BLANK)
        await running.simulator.click(card, {"action": "shout"})
        await running.quiet()
        _, listed, _ = await dlq(running, "list", "--kind", "effect", "--json", folder=tmp_path)
        assert [("SendText", "platform_refused")] == [(letter["what"], letter["reason"]) for letter in listed]
        code, lines, _ = await dlq(running, "show", listed[0]["id"], "--body", folder=tmp_path)
        assert 0 == code
        assert '"hello"' in lines[-1]
        assert 0 == (await dlq(running, "redrive", "--code", str(listed[0]["code"]), folder=tmp_path))[0]
        await running.quiet()
        told = [(one.status, one.final, one.reason, one.attempts) for one in await running.outcomes()]
        refused = ("failed", True, "platform_refused", 1)
        assert [refused, ("failed", False, "redriven", 0), refused] == told
        assert 1 == len(await running.decisions())
        await running.check()


async def test_an_effect_that_is_redriven_days_later_outlasts_a_short_trouble(either_ledger: Stack) -> None:
    """It is worth a try for a day again, as when it was decided."""
    clock = clock_of_now()
    async with world(either_ledger, moody(Mood()), clock=clock) as running:
        card = running.simulator.put_card(await running.chat(), BLANK)
        await running.simulator.click(card, {"action": "shout"})
        await running.quiet()
        clock.advance(3 * 24 * 3600)
        running.simulator.faults.set(1, [FaultRule(path="/open-apis/im/v1/messages", kind="500", p=1.0)])
        (gone,) = await running.ledger.failures.effects()
        key = EffectKey(gone.app_id, gone.event_id, gone.index)
        assert 1 == await running.ledger.failures.redrive([key], topic=running.topics.outcomes)
        await running.until(lambda: any(call.fault == "500" for call in running.calls(SEND)))
        running.simulator.faults.set(1, [])
        await running.quiet()
        told = [(one.status, one.final, one.reason) for one in await running.outcomes()]
        refused = ("failed", True, "platform_refused")
        trouble = ("failed", False, "no_usable_answer")
        assert [refused, ("failed", False, "redriven"), trouble, refused] == list(dict.fromkeys(told[:-1])) + told[-1:]
        await running.check()


async def test_what_nobody_can_read_is_listed_and_shown_and_stays(either_ledger: Stack, tmp_path: Path) -> None:
    """There is nothing to try again."""
    async with world(either_ledger, moody(Mood())) as running:
        bad = NewRecord(
            topic=running.topics.interactions, key="cli_x:om_1", value=b"{", headers=(("ce_type", b"x"),), timestamp=7
        )
        await running.event_log.append([bad])
        await running.quiet()
        _, listed, _ = await dlq(running, "list", "--json", folder=tmp_path)
        assert [("undecodable", "nobody can read it")] == [(letter["kind"], letter["stays"]) for letter in listed]
        assert str(Undecodable("record type 'x' is not ours")) == listed[0]["reason"]
        _, shown, _ = await dlq(running, "show", listed[0]["id"], "--body", "--json", folder=tmp_path)
        assert "{" == shown[0]["body"]
        _, told, _ = await dlq(running, "redrive", "--all", "--json", folder=tmp_path)
        assert ({"redriven": 0, "meant": 0, "left": 1}, "nobody can read it") == (told[-1], told[0]["stays"])


async def test_filters_and_refusals_of_the_command(either_ledger: Stack, tmp_path: Path) -> None:
    """Which are meant has to be said; a dry run does nothing; what is malformed is one line."""
    async with world(either_ledger, moody(Mood())) as running:
        card = await pressed(running, 1)
        for options, number in (
            (["--since", "1h"], 1),
            (["--until", "1h"], 0),
            (["--since", "2020-01-01", "--card", card], 1),
            (["--card", "om_other"], 0),
            (["--kind", "effect"], 0),
            (["--handler", "nobody"], 0),
            (["--app", running.env["LARK_APP_ID"]], 1),
        ):
            assert number == len((await dlq(running, "list", *options, "--json", folder=tmp_path))[1]), options
        code, told, _ = await dlq(running, "redrive", "--all", "--dry-run", "--json", folder=tmp_path)
        assert (0, {"redriven": 0, "meant": 1, "left": 0}) == (code, told[-1])
        await running.quiet()
        assert 1 == len(await running.decisions())
        for arguments, complaint in (
            (["redrive"], "cardwire: nothing says which dead letters are meant: expected ids, a filter or --all"),
            (["list", "--since", "yesterday"], "cardwire: --since is malformed: expected a time or how long ago"),
            (
                ["list", "--kind", "click"],
                "cardwire: --kind is malformed: expected one of handler, effect, undecodable",
            ),
        ):
            code, _, error = await dlq(running, *arguments, folder=tmp_path)
            assert (2, 1) == (code, len(error.splitlines())), error
            assert error.startswith(complaint)
        (letter,) = (await dlq(running, "list", "--json", folder=tmp_path))[1]
        for arguments, complaint in (
            (["redrive", "nothing"], "nothing of the id nothing is a dead letter: cardwire dlq list shows what is"),
            (["redrive", letter["id"][:6]], f"is a dead letter: did you mean {letter['id']}?"),
            (["show", letter["id"][:6]], f"is a dead letter: did you mean {letter['id']}?"),
            (["redrive", "--code", "1"], "nothing that is meant is a dead letter: cardwire dlq list shows what is"),
            (["redrive", letter["id"], "nothing"], "nothing of the id nothing is a dead letter"),
        ):
            code, told, error = await dlq(running, *arguments, folder=tmp_path)
            assert (1, 1, []) == (code, len(error.splitlines()), told), error
            assert complaint in error
        await running.quiet()
        assert 1 == len(await running.decisions())
        code, _, error = await dlq(running, "show", "nothing", folder=tmp_path)
        assert (1, True) == (code, error.startswith("cardwire: nothing of the id nothing is a dead letter"))


async def test_a_broken_deploy_stops_deciding_and_loses_no_click(either_ledger: Stack, tmp_path: Path) -> None:
    """The worker is not ready and says why; corrected and restarted, it decides what waited; the rest is redriven."""
    mood = Mood()
    async with world(either_ledger, moody(mood), workers=0) as running:
        app_id = running.env["LARK_APP_ID"]
        presses = [
            facts.click(f"e{n}", value={"action": "press", "n": n}, message_id=f"om_{n}", app_id=app_id)
            for n in range(300)
        ]
        async with running.worker() as worker:
            await running.append(*presses)
            await running.until(lambda: _stopped(worker))
            assert ["too_much_failed"] == list(await worker.lacks())
            assert worker.is_alive()
        failed = len(await running.ledger.failures.inputs())
        assert 20 <= failed <= 220
        mood.fails = False
        async with running.worker():
            await running.until(lambda: _decided(running, 300))
            await dlq(running, "redrive", "--all", folder=tmp_path)
            await running.until(lambda: _decided(running, 300 + failed))
        assert not await running.ledger.failures.inputs()
        assert 300 == len((await dump(running.ledger.database)).cards)


async def test_a_worker_that_is_told_so_never_stops_deciding(tmp_path: Path) -> None:
    """Whatever fails is a dead letter, and the worker stays ready."""
    async with world(files(tmp_path), moody(Mood()), workers=0, shared_log=MemoryLog()) as running:
        app_id = running.env["LARK_APP_ID"]
        presses = [
            facts.click(f"e{n}", value={"action": "press", "n": n}, message_id=f"om_{n}", app_id=app_id)
            for n in range(60)
        ]
        async with running.worker({"CARDWIRE_DEAD_LETTERS_STOP": "0"}) as worker:
            for press in presses:
                await running.append(press)
            await running.until(lambda: _decided(running, 60))
            assert [] == list(await worker.lacks())
        assert 60 == len(await running.ledger.failures.inputs())


async def _stopped(worker: RunningWorker) -> bool:
    return "too_much_failed" in await worker.lacks()


async def _decided(running: World, number: int) -> bool:
    return len(await running.decisions()) >= number
