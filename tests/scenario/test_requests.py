"""Programs ask for effects: cards that nobody clicked yet, and cards that people click meanwhile."""

import asyncio
import itertools
import json
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.app import serve
from gateway.append import Appender
from gateway.requests.accept import Requests
from gateway.requests.http import RequestsHttp
from gateway.settings import GatewaySettings
from shared.clock import SystemClock
from shared.core.effects import REQUESTABLE, UpdateCard
from shared.core.events import RequestReceived
from shared.core.ids import AppId, EventId, MessageId, TenantKey
from shared.eventlog.port import TOPICS
from shared.observability.metrics import GATEWAY_METRICS, REQUESTS, Metrics
from shared.reread import REREAD_S
from shared.settings import rereader
from shared.settings.callers_file import read_callers
from tests.scenario.handlers import BLANK, COUNT, PATCH, RENAME, SEND, app_of_stories
from tests.support.asking import CALLER, TOKEN, Program, request, table, write_callers
from tests.support.callbacks import APP_ID
from tests.support.clicking import Place, drained
from tests.support.commands import environment, run, started
from tests.support.documents import is_documented
from tests.support.kafka import KafkaBroker
from tests.support.testable_log import TestableLog
from tests.support.world import ENCRYPTED, Stack, World, clock_of_now, files, world
from worker.settings import WorkerSettings

APP = AppId("cli_a1b2c3d4e5f60718")


@asynccontextmanager
async def asking(
    stack: Stack, folder: Path, *, effects: Sequence[str] = REQUESTABLE, **told: Any
) -> AsyncIterator[tuple[World, Program]]:
    """Run a world with a port for requests, and a program that may ask for these effects."""
    callers = write_callers(folder / "callers.toml", {CALLER: table(effects=effects)})
    credentials = {**ENCRYPTED, "CARDWIRE_REQUESTS_PORT": "0", "CARDWIRE_CALLERS": str(callers)}
    async with world(stack, app_of_stories(), credentials=credentials, **told) as running, aiohttp.ClientSession() as c:
        yield running, Program(url=running.gateway.requests_url, client=c)


NO_TOKEN = '[callers.billing]\napps = ["cli_a"]\neffects = ["SendText"]\n'
TEXT = {"kind": "SendText", "text": "好", "to": "oc_1"}


def number_of(running: World, message_id: str) -> Any:
    """Return the number that a card shows."""
    card = running.simulator.platform.message(message_id).card
    return json.loads(card.text)["n"] if card else None


def send(chat_id: str, card: Any = BLANK) -> Any:
    """Return the effect of sending a card."""
    return {"kind": "SendCard", "card": card, "to": chat_id}


def update(message_id: str, n: int) -> Any:
    """Return the effect of updating a card."""
    return {"kind": "UpdateCard", "message_id": message_id, "card": {**BLANK, "n": n}}


async def test_a_card_is_sent_by_request_clicked_and_updated_by_request(stack: Stack, tmp_path: Path) -> None:
    """The whole story: the outcomes name the message, the click knows the card, and the state survives the update."""
    async with asking(stack, tmp_path) as (running, program):
        chat_id = await running.chat()
        assert (202, {"id": "req/billing/r1"}) == await program.post(request(send(chat_id)))
        await running.quiet()
        (sent,) = await running.outcomes()
        assert ("req/billing/r1", "succeeded", chat_id) == (sent.event_id, sent.status, sent.chat_id)
        message_id = str(sent.sent_message_id)
        await running.simulator.click(message_id, COUNT)
        await running.quiet()
        assert 202 == (await program.post(request(update(message_id, 100), request_id="r2")))[0]
        await running.quiet()
        assert 100 == number_of(running, message_id)
        await running.simulator.click(message_id, COUNT)
        await running.quiet()
        assert 2 == number_of(running, message_id), "the update kept the state"
        told = {decided.event_id: decided for decided in await running.decisions()}
        assert ("decided", "r2", 2, "1") == (
            told[EventId("req/billing/r2")].result,
            told[EventId("req/billing/r2")].request_id,
            told[EventId("req/billing/r2")].version,
            told[EventId("req/billing/r2")].state,
        )
        await running.check()


async def test_a_request_that_is_sent_again_is_accepted_again_and_done_once(stack: Stack, tmp_path: Path) -> None:
    """At once, all at the same time, and later: one message."""
    async with asking(stack, tmp_path) as (running, program):
        chat_id = await running.chat()
        body = request(send(chat_id))
        first = await asyncio.gather(*(program.post(body) for _ in range(5)))
        await running.quiet()
        again = await program.post(body)
        await running.quiet()
        assert {(202, "req/billing/r1")} == {(status, told["id"]) for status, told in (*first, again)}
        assert 1 == len(running.calls(SEND))
        assert 1 == len(await running.decisions())
        await running.check()


async def test_requests_and_clicks_of_a_card_take_their_turns(stack: Stack, tmp_path: Path) -> None:
    """Each changes the version once; what the card shows in the end is what was logged last."""
    async with asking(stack, tmp_path) as (running, program):
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        for n in range(10):
            assert 202 == (await program.post(request(update(message_id, 100 + n), request_id=f"r{n}")))[0]
            await running.simulator.click(message_id, COUNT)
        await running.quiet()
        decisions = sorted(await running.decisions(), key=lambda decided: decided.offset)
        assert list(range(1, 21)) == [decided.version for decided in decisions]
        assert 10 == number_of(running, message_id)
        await running.check()


async def test_a_request_about_a_card_knows_its_chat(either_ledger: Stack, tmp_path: Path) -> None:
    """Text and name go where the card is, without being told."""
    async with asking(either_ledger, tmp_path) as (running, program):
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, BLANK)
        effects = [update(message_id, 1), {"kind": "SendText", "text": "好"}, {"kind": "RenameChat", "name": "已处理"}]
        assert 202 == (await program.post(request(*effects)))[0]
        await running.quiet()
        assert "已处理" == running.simulator.platform.chat(chat_id).name
        assert {chat_id} == {call.target for call in running.calls(SEND)}
        assert 1 == len(running.calls(RENAME))
        await running.check()


async def test_the_worker_checks_again_what_the_gateway_let_in(either_ledger: Stack, tmp_path: Path) -> None:
    """A caller that may no longer ask is refused; one that nobody knows is kept whole; neither stops the others."""
    async with asking(either_ledger, tmp_path, workers=0) as (running, program):
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        assert 202 == (await program.post(request(update(message_id, 1))))[0]
        await running.append(_forged("stranger", message_id), _forged("worker", message_id, "e1/1"))
        write_callers(tmp_path / "callers.toml", {CALLER: table(effects=["SendText"])})
        await running.start_worker()
        await running.quiet()
        told = {decided.event_id: (decided.result, decided.reason) for decided in await running.decisions()}
        assert {
            "req/billing/r1": ("refused", "the caller billing may not ask for UpdateCard"),
            "req/stranger/r1": ("failed", "unknown_caller"),
            "req/worker/e1/1": ("decided", None),
        } == told
        assert 1 == len(running.calls(PATCH))
        await running.check()


def _forged(caller: str, message_id: str, request_id: str = "r1") -> RequestReceived:
    return RequestReceived(
        event_id=EventId(f"req/{caller}/{request_id}"),
        app_id=APP,
        tenant_key=TenantKey(""),
        message_id=MessageId(message_id),
        caller=caller,
        request_id=request_id,
        effects=(UpdateCard({**BLANK, "n": 7}),),
        occurred_at=1,
        received_at=1,
    )


async def test_every_refusal_is_one_line_and_changes_nothing(either_ledger: Stack, tmp_path: Path) -> None:
    """Nobody's token, another app, an effect that is not allowed, no JSON, too much: and nothing is in the log."""
    async with asking(either_ledger, tmp_path, effects=["SendText"]) as (running, program):
        text = {"kind": "SendText", "text": "x", "to": "oc_1"}
        stranger = Program(url=program.url, client=program.client, token="another-token-of-somebody")
        nobody = Program(url=program.url, client=program.client, token=None)
        found = [
            await stranger.post(request(text)),
            await nobody.post(request(text)),
            await program.post(request(text), Authorization="Basic dTpw"),
            await program.post(request(text, app_id="cli_other")),
            await program.post(request(send("oc_1"))),
            await program.post(b"{"),
            await program.post(request()),
            await program.post(b" " * 300_000),
        ]
        assert [401, 401, 401, 403, 403, 400, 400, 413] == [status for status, _ in found]
        assert all(": expected " in told["error"] or "may not" in told["error"] for _, told in found)
        assert [] == await running.events(running.topics.interactions)
        assert 3 == running.gateway.metrics.value(REQUESTS, "unknown", "refused")
        assert 5 == running.gateway.metrics.value(REQUESTS, CALLER, "refused")


async def test_what_is_no_request_is_told_where_they_go(either_ledger: Stack, tmp_path: Path) -> None:
    """Another path or method, on this port and on the callbacks'."""
    async with asking(either_ledger, tmp_path) as (running, program):
        async with program.client.get(f"{program.url}/v1/requests") as response:
            assert (405, "POST") == (response.status, response.headers["Allow"])
        async with program.client.post(f"{program.url}/webhook/card") as response:
            assert (404, {"error": "nothing is here: expected POST /v1/requests"}) == (
                response.status,
                await response.json(),
            )
        async with program.client.post(f"{running.gateway.url}/v1/requests") as response:
            assert 404 == response.status


async def test_the_gateway_reads_the_file_of_callers_again(tmp_path: Path) -> None:
    """A token that is taken away lets nobody in any more, and the new one does, without a restart."""
    callers, clock = write_callers(tmp_path / "callers.toml"), clock_of_now()
    env = {
        "LARK_APP_ID": APP,
        **ENCRYPTED,
        "CARDWIRE_APP": "tests:app",
        "CARDWIRE_LOG": "sqlite:///unused.db",
        "CARDWIRE_CALLERS": str(callers),
        "CARDWIRE_PORT": "0",
        "CARDWIRE_ADMIN_PORT": "0",
        "CARDWIRE_REQUESTS_PORT": "0",
    }
    serving = serve(
        GatewaySettings.load(env),
        app_of_stories(),
        reread=rereader(GatewaySettings, env),
        event_log=TestableLog(),
        clock=clock,
    )
    async with serving as running, aiohttp.ClientSession() as client:
        program = Program(url=running.requests_url, client=client)
        changed = replace(program, token="the-token-after-the-change")
        assert (202, 401) == ((await program.post(request(TEXT)))[0], (await changed.post(request(TEXT)))[0])
        write_callers(callers, {CALLER: table(token="the-token-after-the-change")})
        async with asyncio.timeout(10):
            while (await changed.post(request(TEXT)))[0] == 401:
                clock.advance(REREAD_S)
                await asyncio.sleep(0.01)  # A thread reads.
        assert 401 == (await program.post(request(TEXT)))[0]


async def test_a_caller_of_an_app_that_is_not_served_is_told_of_at_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An id with a typing error would else be found out by the program alone."""
    callers = write_callers(tmp_path / "callers.toml", {CALLER: table(apps=[APP, "cli_elsewhere"])})
    env = {
        "LARK_APP_ID": APP,
        **ENCRYPTED,
        "CARDWIRE_APP": "tests:app",
        "CARDWIRE_LOG": "sqlite:///unused.db",
        "CARDWIRE_CALLERS": str(callers),
        "CARDWIRE_PORT": "0",
        "CARDWIRE_ADMIN_PORT": "0",
    }
    async with serve(GatewaySettings.load(env), app_of_stories(), event_log=TestableLog()):
        [line] = [line for line in capsys.readouterr().out.splitlines() if "caller_without_app" in line]
    assert (True, True, False) == (CALLER in line, "cli_elsewhere" in line, APP in line)


async def test_the_worker_reads_the_file_of_callers_again(either_ledger: Stack, tmp_path: Path) -> None:
    """What a caller may no longer ask for is refused from then on."""
    async with asking(either_ledger, tmp_path, workers=0, clock=clock_of_now()) as (running, _):
        env = {**running.env, "LARK_DOMAIN": running.simulator.url}
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker(reread=rereader(WorkerSettings, env)):
            await running.append(_forged(CALLER, message_id))
            await running.quiet()
            write_callers(tmp_path / "callers.toml", {CALLER: table(effects=["SendText"])})
            numbers = itertools.count(2)

            async def is_refused() -> bool:
                await running.append(_forged(CALLER, message_id, f"r{next(numbers)}"))
                await running.quiet()
                return "refused" in [decided.result for decided in await running.decisions()]

            await running.until(is_refused)
        await running.check()


async def test_the_worker_refuses_nothing_by_an_old_file(either_ledger: Stack, tmp_path: Path) -> None:
    """A caller that was added a moment ago is done for at once, by the file as it is then."""
    async with asking(either_ledger, tmp_path, workers=0) as (running, _):
        env = {**running.env, "LARK_DOMAIN": running.simulator.url}
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker(reread=rereader(WorkerSettings, env)) as worker:
            await worker.ready()
            write_callers(tmp_path / "callers.toml", {CALLER: table(), "cron": table(token="the-token-of-cron")})
            await running.append(_forged("cron", message_id))
            await running.quiet()
            assert ["decided"] == [decided.result for decided in await running.decisions()]
        await running.check()


@pytest.mark.slow
async def test_the_first_request_of_a_new_caller_that_is_accepted_is_done(tmp_path: Path) -> None:
    """Added while gateway and worker run, each with its own clock: 401, then 503, then 202; the text is sent."""
    async with asking(files(tmp_path), tmp_path, workers=0) as (running, _), aiohttp.ClientSession() as client:
        env = {**running.env, "LARK_DOMAIN": running.simulator.url, "CARDWIRE_REQUESTS_PORT": "0"}
        text = request({**TEXT, "to": await running.chat()})
        gateway = serve(GatewaySettings.load(env), app_of_stories(), reread=rereader(GatewaySettings, env))
        async with gateway as taking, running.worker(reread=rereader(WorkerSettings, env)) as worker:
            await worker.ready()
            write_callers(tmp_path / "callers.toml", {"cron": table(token="the-token-of-cron")})
            program, told = Program(url=taking.requests_url, client=client, token="the-token-of-cron"), [0]
            async with asyncio.timeout(30):
                while told[-1] != 202:
                    told.append((await program.post(text))[0])
                    await asyncio.sleep(0.05)
            await running.quiet()
        assert [0, 401, 503, 202] == [status for status, _ in itertools.groupby(told)]
        assert ["decided"] == [decided.result for decided in await running.decisions()]
        assert 1 == len(running.calls(SEND))
        await running.check()


@pytest.mark.slow
async def test_what_was_accepted_outlives_a_gateway_that_is_killed(tmp_path: Path) -> None:
    """202 means recorded: SIGKILL right after it, then a worker decides the request."""
    told = {**ENCRYPTED, "CARDWIRE_CALLERS": str(write_callers(tmp_path / "callers.toml"))}
    async with world(files(tmp_path), app_of_stories(), credentials=told) as running:
        chat_id = await running.chat()
        settings = {**running.env, "CARDWIRE_APP": "handlers:app", "CARDWIRE_REQUESTS_PORT": "0"}
        (tmp_path / "handlers.py").write_text("from cardwire import App\n\napp = App()\n")
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cardwire", "gateway",
            cwd=tmp_path, env={**inherited, **settings}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert gateway.stdout is not None
        line = (await asyncio.wait_for(gateway.stdout.readline(), 20)).decode()
        found = re.search(r" requests=(\S+)", line)
        assert found, line
        async with aiohttp.ClientSession() as client:
            assert 202 == (await Program(url=found[1], client=client).post(request(send(chat_id))))[0]
        gateway.kill()
        await gateway.communicate()
        await running.quiet()
        assert 1 == len(running.calls(SEND))
        await running.check()


@pytest.mark.kafka
@pytest.mark.slow
async def test_without_a_broker_a_request_is_accepted(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """The spill takes it, and brings it to the log when that is back."""
    place = Place(bootstrap=kafka_broker.bootstrap, prefix=f"q{time.time_ns()}.", spill=tmp_path / "spill")
    await place.make_topics()
    callers = write_callers(tmp_path / "callers.toml", {CALLER: table(apps=[APP_ID])})
    await asyncio.to_thread(kafka_broker.kill)
    asking_gateway = place.gateway(CARDWIRE_REQUESTS_PORT="0", CARDWIRE_CALLERS=str(callers))
    async with asking_gateway as (running, _), aiohttp.ClientSession() as client:
        program = Program(url=running.requests_url, client=client)
        assert 202 == (await program.post(request(update("om_1", 1), app_id=APP_ID)))[0]
        assert 202 == (await program.post(request(update("om_1", 1), app_id=APP_ID)))[0]
        await asyncio.to_thread(kafka_broker.recover)
        await drained(running)
    received = [event for event in await place.events() if isinstance(event, RequestReceived)]
    assert {"req/billing/r1"} == {event.event_id for event in received}


async def test_a_slow_or_broken_body_is_told_as_such(tmp_path: Path) -> None:
    """408 with the bound, 400 for one in no pieces; a large one is refused by what it says of itself."""
    clock, log, metrics = SystemClock(), TestableLog(), Metrics(*GATEWAY_METRICS)
    appender = Appender(log, clock=clock, metrics=metrics)
    requests = Requests(
        callers=read_callers(str(write_callers(tmp_path / "callers.toml")), with_tokens=True),
        apps={APP},
        appender=appender,
        topics=TOPICS,
        clock=clock,
        metrics=metrics,
    )
    runner = web.ServerRunner(RequestsHttp(requests, clock=clock, body_s=0.05).server())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    assert "408" in await _raw(port, b"Content-Length: 10\r\n\r\n{")
    assert "413" in await _raw(port, b"Content-Length: 300000\r\n\r\n")
    assert "400" in await _raw(port, b"Transfer-Encoding: chunked\r\n\r\nplanted\r\n")
    assert "401" in await _raw(port, b"Content-Length: 10\r\n\r\n{", token="nobody's"), "before the body was read"
    assert "this is no HTTP that can be read: expected POST /v1/requests" in await _all_of(port, b"planted\r\n\r\n")
    await runner.cleanup()
    assert [] == log.appends


async def _raw(port: int, rest: bytes, *, token: str = TOKEN) -> str:
    """Send a request as bytes, its body never or half; return the answer's first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /v1/requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode() + rest)
    line = (await asyncio.wait_for(reader.readline(), 10)).decode()
    writer.close()
    return line


async def _all_of(port: int, sent: bytes) -> str:
    """Send bytes; return all that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("command", ["gateway", "run"])
@pytest.mark.parametrize(
    ("callers", "line"),
    [
        (None, "CARDWIRE_CALLERS is missing: CARDWIRE_REQUESTS_PORT=0 expects it"),
        ("", "CARDWIRE_CALLERS names callers.toml, which cannot be used"),
        (NO_TOKEN, "CARDWIRE_CALLERS: caller billing: token_file is missing"),
    ],
)
def test_a_port_without_callers_is_refused_at_start(
    command: str, callers: str | None, line: str, tmp_path: Path
) -> None:
    """One line, which stands in the documents."""
    (tmp_path / "callers.toml").write_text(callers or "")
    named = None if callers is None else "callers.toml"
    ran = run(command, env=environment(tmp_path, CARDWIRE_REQUESTS_PORT="0", CARDWIRE_CALLERS=named), cwd=tmp_path)
    (told,) = ran.stderr.splitlines()
    assert (2, "") == (ran.returncode, ran.stdout)
    assert told.startswith(f"cardwire: {line}")
    assert is_documented(told.removeprefix("cardwire: "))


@pytest.mark.slow
def test_a_port_for_requests_that_is_taken_is_named(tmp_path: Path) -> None:
    """By its own setting."""
    write_callers(tmp_path / "callers.toml")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = environment(tmp_path, CARDWIRE_REQUESTS_PORT=port, CARDWIRE_CALLERS="callers.toml")
        ran = run("gateway", env=env, cwd=tmp_path)
    (told,) = [each for each in ran.stderr.splitlines() if each.startswith("cardwire: ")]
    assert 2 == ran.returncode
    assert told.startswith(f"cardwire: CARDWIRE_REQUESTS_PORT: 127.0.0.1:{port} is taken: expected a free port")
    assert is_documented(told.removeprefix("cardwire: "))


@pytest.mark.slow
async def test_several_gateways_share_the_port_for_requests(tmp_path: Path) -> None:
    """It is reserved and announced by the one that keeps them; each takes requests."""
    write_callers(tmp_path / "callers.toml")
    env = environment(
        tmp_path, CARDWIRE_REQUESTS_PORT="0", CARDWIRE_CALLERS="callers.toml", CARDWIRE_PROCESSES="2", LARK_APP_ID=APP
    )
    with started("gateway", env=env, cwd=tmp_path) as group:
        url = (await asyncio.to_thread(group.until, r"^gateway ready callbacks=\S+ requests=(\S+) admin="))[1]
        for n in range(10):
            async with aiohttp.ClientSession() as client:
                assert 202 == (await Program(url=url, client=client).post(request(TEXT, request_id=f"r{n}")))[0]
        with pytest.raises(OSError, match="in use"), socket.socket() as another:
            another.bind(("127.0.0.1", int(url.rpartition(":")[2])))
