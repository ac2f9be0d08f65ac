"""`cardwire card`, as an operator types it."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card
from shared.core.effects import RenameChat, SendCard, UpdateCard
from shared.core.events import COMMAND_LINE, RequestReceived, request_event_id
from shared.core.ids import AppId, TenantKey
from shared.feishu.limits import DAY_MS
from tests.scenario.handlers import BLANK
from tests.support.commands import run
from tests.support.documents import is_documented
from tests.support.dump import dump
from tests.support.facts import click, mark
from tests.support.world import World, files, world

pytestmark = pytest.mark.slow

SECRET = "what-nobody-is-to-see"


def _app() -> App:
    app = App()

    @app.on_action("follow_up")
    def follow_up(click: Interaction, _card: Card | None) -> list[UpdateCard | RenameChat]:
        return [UpdateCard({**BLANK, "by": click.event_id, "secret": SECRET}), RenameChat("跟进中")]

    @app.on_action("break")
    def break_it(click: Interaction, _card: Card | None) -> list[UpdateCard]:
        raise ValueError(click.value)

    return app


async def _clicked(running: World) -> str:
    """Return a card that was clicked twice: once in good order, once in vain."""
    chat_id = await running.chat()
    message_id = running.simulator.platform.put_card(chat_id, json.dumps({**BLANK, "secret": SECRET})).message_id
    first, second = (
        click(event, value={"action": action, "note": SECRET}, message_id=message_id, chat_id=chat_id)
        for event, action in (("e1", "follow_up"), ("e2", "break"))
    )
    await running.append(first, mark(first), second)
    await running.quiet()
    return str(message_id)


async def _card(folder: Path, *given: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command beside a world that runs in this process."""
    return await asyncio.to_thread(run, "card", *given, env=settings, cwd=folder)


async def test_a_cards_story_is_told(tmp_path: Path) -> None:
    """Who clicked, what was decided, what became of it; nothing of what was typed or shown."""
    async with world(files(tmp_path), _app()) as running:
        message_id = await _clicked(running)
        for_people = await _card(tmp_path, message_id, CARDWIRE_LEDGER=running.stack.ledger)
        for_programs = await _card(tmp_path, message_id, "--json", CARDWIRE_LEDGER=running.stack.ledger)
    assert (0, "", 0, "") == (
        for_people.returncode,
        for_people.stderr,
        for_programs.returncode,
        for_programs.stderr,
    )
    assert SECRET not in for_people.stdout + for_programs.stdout
    told = " ".join(for_people.stdout.split())
    for words in (message_id, "version 1", "by ou_1 → ", "follow_up: decided", "break_it: failed", "succeeded"):
        assert words in told
    card, *moments = map(json.loads, for_programs.stdout.splitlines())
    assert ("card", message_id, 2) == (card["what"], card["message_id"], card["inputs"])
    assert ["clicked", "clicked", "dead_letter", "effect", "effect"] == sorted(one["what"] for one in moments)
    effects = {one["kind"]: one["status"] for one in moments if one["what"] == "effect"}
    assert {"UpdateCard": "succeeded", "RenameChat": "succeeded"} == effects


async def test_what_waits_says_for_what(tmp_path: Path) -> None:
    """Without a worker nothing goes on: first it waits for its mark, after 3 s for a worker."""
    async with world(files(tmp_path), _app(), workers=0) as running:
        async with running.worker() as worker:
            await running.append(click("e1", message_id="om_other"))
            await running.until(lambda: _has_decided(running))
            await worker.stop()
        ran = await _card(tmp_path, "om_other", "--json", CARDWIRE_LEDGER=running.stack.ledger)
    waiting = [json.loads(line) for line in ran.stdout.splitlines() if '"waiting"' in line]
    (update,) = (one for one in waiting if one["kind"] == "UpdateCard")
    assert update["waits_for"] in {"answered_mark", "worker"}


async def _has_decided(running: World) -> bool:
    return bool((await dump(running.ledger.database)).claims)


def _line(ran: subprocess.CompletedProcess[str], *, code: int) -> str:
    (line,) = ran.stderr.splitlines()
    assert (code, "") == (ran.returncode, ran.stdout)
    assert is_documented(line.removeprefix("cardwire: "))
    return line


async def test_a_card_that_nobody_knows(tmp_path: Path) -> None:
    """One line, exit code 1."""
    async with world(files(tmp_path), _app(), workers=0) as running:
        unknown = await _card(tmp_path, "om_unknown", CARDWIRE_LEDGER=running.stack.ledger)
        elsewhere = await _card(tmp_path, "om_unknown", "--app", "cli_b", CARDWIRE_LEDGER=running.stack.ledger)
    assert "cardwire: the ledger knows no card om_unknown: expected a card" in _line(unknown, code=1)
    assert "knows no card om_unknown of the app cli_b" in _line(elsewhere, code=1)


@pytest.mark.parametrize("given", [("om 1",), ("om_1", "--app", "a b")])
async def test_an_id_that_is_none(given: tuple[str, ...], tmp_path: Path) -> None:
    """The line shows one."""
    assert "is malformed: expected an id of the platform's" in _line(await _card(tmp_path, *given), code=2)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("card", "ev1"), "MESSAGE_ID is an id of another kind: expected a card's"),
        (("card", "om_1", "--app", "oc_1"), "--app is a chat's id: expected an app's"),
        (("dlq", "show", "om_1"), "ID is a card's id: expected an event's"),
    ],
)
def test_an_id_of_another_kind(given: tuple[str, ...], told: str, tmp_path: Path) -> None:
    """Told before anything is opened."""
    assert told in _line(run(*given, env={}, cwd=tmp_path), code=2)
    assert [] == list(tmp_path.iterdir())


def test_a_ledger_that_is_not_there(tmp_path: Path) -> None:
    """None is made by looking for one: neither the one that is named, nor that of `cardwire run`."""
    assert "where no file is" in _line(run("card", "om_1", env={}, cwd=tmp_path), code=2)
    named = run("card", "om_1", env={"CARDWIRE_LEDGER": f"sqlite:///{tmp_path / 'no.db'}"}, cwd=tmp_path)
    assert "no.db, where no file is" in _line(named, code=2)
    assert [] == list(tmp_path.iterdir())


async def test_the_log_tells_the_same_of_a_card(tmp_path: Path) -> None:
    """In the same shape, with each version besides; what changed in it only if that is asked for."""
    async with world(files(tmp_path), _app()) as running:
        message_id = await _clicked(running)
        by_ledger = await _card(tmp_path, message_id, "--json", CARDWIRE_LEDGER=running.stack.ledger)
        by_log = await _card(tmp_path, message_id, "--from-log", "--json", CARDWIRE_LOG=running.stack.log)
        for_people = await _card(tmp_path, message_id, "--from-log", CARDWIRE_LOG=running.stack.log)
        spoken = await _card(tmp_path, message_id, "--show-values", "--json", CARDWIRE_LOG=running.stack.log)
    assert (0, "") == (by_log.returncode, by_log.stderr)
    assert SECRET not in by_log.stdout + for_people.stdout
    assert "told from the log" in for_people.stdout
    assert "nothing in the log says that Cardwire sent it, so its age is not known" in for_people.stdout
    card, *moments = map(json.loads, by_ledger.stdout.splitlines())
    same, *logged = map(json.loads, by_log.stdout.splitlines())
    assert ("ledger", "log") == (card.pop("source"), same.pop("source"))
    # The log has the chat from the clicks themselves, the ledger only where it had to ask for it.
    assert {**card, "now": 0, "chat_id": same["chat_id"]} == {**same, "now": 0}
    (version,) = (one for one in logged if one["what"] == "version")
    assert ("e1", 1) == (version["event_id"], version["version"])
    assert version["handler"].endswith("follow_up")
    rest = [one for one in logged if one["what"] != "version"]
    assert [_what(one) for one in moments] == [_what(one) for one in rest]
    assert SECRET in spoken.stdout


def _what(moment: dict[str, object]) -> tuple[object, ...]:
    return tuple(moment.get(name) for name in ("what", "event_id", "kind", "status", "result", "handler", "code"))


async def test_each_version_is_told_with_what_it_changes(tmp_path: Path) -> None:
    """Of the version before it; from the log, whether a ledger is there or not."""
    async with world(files(tmp_path), _app()) as running:
        message_id = await _clicked(running)
        again = click("e3", message_id=message_id)
        await running.append(again, mark(again))
        await running.quiet()
        where = {"CARDWIRE_LOG": running.stack.log, "CARDWIRE_LEDGER": running.stack.ledger}
        ways = [["--from-log"], []]
        tellings = [await _card(tmp_path, message_id, *way, "--show-values", "--json", **where) for way in ways]
    for told in tellings:
        first, second = (one for one in map(json.loads, told.stdout.splitlines()) if one["what"] == "version")
        assert [("e1", 1, ""), ("e3", 2, "/by")] == [
            (one["event_id"], one["version"], one["changes"][0]["path"]) for one in (first, second)
        ]
        assert [{"path": "/by", "was": "e1", "now": "e3"}] == second["changes"]


async def test_of_a_card_that_cardwire_sent_the_log_tells_what_the_ledger_does(tmp_path: Path) -> None:
    """Its age and how it is written, although nothing was shown on it since: one click was ignored, one had expired."""
    async with world(files(tmp_path), _app()) as running:
        chat_id = await running.chat()
        await running.append(_sends(running, {"schema": "2.0", "body": {"elements": []}}, to=chat_id))
        await running.quiet()
        (sent,) = await running.outcomes()
        message_id, at = str(sent.sent_message_id), sent.sent_at or 0
        about: dict[str, Any] = {"message_id": message_id, "chat_id": chat_id}
        ignored = click("e1", value={"action": "nobody-knows"}, occurred_at=at + 1, **about)
        expired = click("e2", occurred_at=at + 15 * DAY_MS, **about)
        await running.append(ignored, mark(ignored), expired, mark(expired))
        await running.quiet()
        where = {"CARDWIRE_LOG": running.stack.log, "CARDWIRE_LEDGER": running.stack.ledger}
        by_ledger = await _card(tmp_path, message_id, "--json", **where)
        by_log = await _card(tmp_path, message_id, "--from-log", "--json", **where)
        for_people = await _card(tmp_path, message_id, "--from-log", **where)
    card, *moments = map(json.loads, by_ledger.stdout.splitlines())
    same, *logged = map(json.loads, by_log.stdout.splitlines())
    assert {**card, "source": "log", "now": 0} == {**same, "now": 0}
    assert [*map(_what, moments)] == [*map(_what, logged)]
    assert ["sent", "ignored", "refused"] == [one.get("result", one["what"]) for one in logged]
    assert (at, "2.0") == (same["sent_at"], same["card_format"])
    assert (at + 14 * DAY_MS, at + 14 * DAY_MS) == (same["clickable_until"], same["updatable_until"])
    assert "can be clicked until" in for_people.stdout
    assert "not known" not in for_people.stdout


async def test_without_a_ledger_the_log_is_asked(tmp_path: Path) -> None:
    """And a line says so; with neither, the ledger's."""
    async with world(files(tmp_path), _app()) as running:
        message_id = await _clicked(running)
        nowhere = f"sqlite:///{tmp_path / 'no.db'}"
        told = await _card(tmp_path, message_id, CARDWIRE_LEDGER=nowhere, CARDWIRE_LOG=running.stack.log)
        neither = await _card(tmp_path, message_id, CARDWIRE_LEDGER=nowhere, CARDWIRE_LOG=nowhere)
    assert (0, "cardwire: the ledger cannot be asked: told from the log\n") == (told.returncode, told.stderr)
    assert "follow_up: decided" in told.stdout
    assert "no.db, where no file is" in _line(neither, code=2)


async def test_a_card_is_found_by_a_request(tmp_path: Path) -> None:
    """By the id that the platform gave a callback, or a caller its request."""
    async with world(files(tmp_path), _app()) as running:
        await running.append(click("e1", request_id="r-1", message_id="om_asked"))
        await running.quiet()
        found = await _card(tmp_path, "--request-id", "r-1", "--json", CARDWIRE_LOG=running.stack.log)
        unknown = await _card(tmp_path, "--request-id", "r-2", CARDWIRE_LOG=running.stack.log)
        not_logged = await _card(tmp_path, "om_unknown", "--from-log", CARDWIRE_LOG=running.stack.log)
    card, *_ = map(json.loads, found.stdout.splitlines())
    assert ("om_asked", "log") == (card["message_id"], card["source"])
    assert "knows no card of the request r-2" in _line(unknown, code=1)
    assert "the log knows no card om_unknown" in _line(not_logged, code=1)


async def test_no_card_at_all(tmp_path: Path) -> None:
    """What is missing is named."""
    assert "MESSAGE_ID is missing" in _line(await _card(tmp_path), code=2)


def _sends(running: World, card: object, *, to: str) -> RequestReceived:
    """Return the request of `cardwire send` for a card."""
    return RequestReceived(
        event_id=request_event_id(COMMAND_LINE, "r-7"),
        app_id=AppId(running.env["LARK_APP_ID"]),
        tenant_key=TenantKey(""),
        caller=COMMAND_LINE,
        request_id="r-7",
        effects=(SendCard(json.dumps(card), to=to),),
        occurred_at=1,
        received_at=1,
    )


async def test_a_request_finds_the_card_that_it_sent(tmp_path: Path) -> None:
    """Also while nobody has clicked it, when the log has nothing about that card but its sending."""
    async with world(files(tmp_path), _app()) as running:
        await running.append(_sends(running, BLANK, to=await running.chat()))
        await running.quiet()
        (sent,) = [outcome.sent_message_id for outcome in await running.outcomes()]
        ways = [["--request-id", "r-7"], ["req/cli/r-7"], [str(sent), "--from-log"]]
        tellings = [await _card(tmp_path, *asked, "--json", CARDWIRE_LOG=running.stack.log) for asked in ways]
    for found in tellings:
        card, came = map(json.loads, found.stdout.splitlines())
        assert (0, sent, "log", "sent") == (found.returncode, card["message_id"], card["source"], came["what"])
