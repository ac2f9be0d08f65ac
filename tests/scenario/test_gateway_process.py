"""The gateway as an operator meets it: a process, its lines, and its end."""

import asyncio
import json
import re
import resource
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared.core.codec import decode
from shared.core.events import InteractionAnswered, InteractionReceived
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from shared.feishu.signature import identity
from tests.support.callbacks import (
    APP_ID,
    CARD_TOKEN,
    ENCRYPT_KEY,
    VERIFICATION_TOKEN,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
    verification,
)
from tests.support.commands import piped

HANDLERS = """
from cardwire import App, Toast

app = App()

@app.on_action("follow_up", answer=Toast.info("planted toast"))
def follow_up(click, card):
    return []
"""

# Not HTTP, as scanners send it.
GARBAGE = (
    b"planted\r\n\r\n",
    b"POST /card HTTP/1.1\r\nContent-Length: planted\r\n\r\n",
    b"POST /card HTTP/1.1\r\nX-Long: " + b"planted" * 3000 + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00planted",
)

READY = re.compile(r"gateway ready callbacks=(\S+) admin=(\S+)")

pytestmark = pytest.mark.slow


class Gateway:
    """A gateway in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, folder: Path) -> None:
        self.process, self.url, self.folder = process, url, folder

    async def stop(self) -> str:
        """Send SIGTERM; return everything that the process wrote, once it has ended."""
        self.process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(self.process.communicate(), 10)
        assert 0 == self.process.returncode
        return (out + err).decode()


async def _start(folder: Path, **env: str) -> asyncio.subprocess.Process:
    (folder / "handlers.py").write_text(HANDLERS)
    (folder / "encrypt_key").write_text(ENCRYPT_KEY + "\n")
    settings = {
        "LARK_APP_ID": APP_ID,
        "LARK_ENCRYPT_KEY_FILE": str(folder / "encrypt_key"),
        "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN,
        "LARK_CALLBACKS": "both",
        "CARDWIRE_APP": "handlers:app",
        "CARDWIRE_LOG": "sqlite:///log.db",
        "CARDWIRE_PORT": "0",
        "CARDWIRE_ADMIN_PORT": "0",
        "CARDWIRE_LOG_LEVEL": "debug",
        **env,
    }
    return await piped("gateway", env=settings, cwd=folder)


async def _ready(process: asyncio.subprocess.Process, folder: Path) -> Gateway:
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    found = READY.match(line)
    assert found, line
    return Gateway(process, found[1], folder)


@pytest.mark.parametrize(("style", "told"), [("both", 1), ("new", 0)])
async def test_a_gateway_that_lets_both_styles_in_says_what_that_means(tmp_path: Path, style: str, told: int) -> None:
    """In its ready line, and for each app in a log line, before a twin surprises anybody."""
    process = await _start(tmp_path, LARK_CALLBACKS=style)
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    lines = (await Gateway(process, "", tmp_path).stop()).splitlines()
    assert (bool(told), told) == (
        line.endswith(" styles=new+legacy\n"),
        sum("both_styles_let_in" in one for one in lines),
    )
    assert all(APP_ID in one and "twin" in one for one in lines if "both_styles_let_in" in one)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """Yield a running process; it is killed if the test did not end it."""
    process = await _start(tmp_path)
    yield await _ready(process, tmp_path)
    if process.returncode is None:
        process.kill()
        await process.communicate()


async def _post(url: str, wire: Wire) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(url + "/webhook/card", data=wire.body, headers=wire.headers) as response,
    ):
        return response.status, json.loads(await response.read())


async def _raw(url: str, sent: bytes) -> bytes:
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    status = await reader.readline()
    writer.close()
    return status


def _now() -> int:
    return time.time_ns() // 1_000_000


async def _events(folder: Path) -> list[Any]:
    log = open_log(f"sqlite:////{folder / 'log.db'}")
    topic = Topics().interactions
    records = [record for number in await log.spans(topic) for record in await log.read(topic, number, 0, limit=1000)]
    await log.close()
    return [decode(record.headers, record.value) for record in records]


def _allow_no_more_files_than(more: int, pid: int) -> None:
    limit = len(list(Path(f"/proc/{pid}/fd").iterdir())) + more
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))


async def test_told_to_stop_it_leaves_every_answer_with_its_mark(gateway: Gateway) -> None:
    """SIGTERM right behind the answers: marks are flushed before the process ends."""
    ids = [f"ev{n}" for n in range(20)]
    replies = await asyncio.gather(
        *(_post(gateway.url, signed(encrypted(click(id_, message_id=f"om_{id_}")), at=_now())) for id_ in ids)
    )
    assert [200] * 20 == [status for status, _ in replies]
    await gateway.stop()
    events = await _events(gateway.folder)
    assert sorted(ids) == sorted(event.event_id for event in events if isinstance(event, InteractionReceived))
    assert sorted(ids) == sorted(event.event_id for event in events if isinstance(event, InteractionAnswered))


async def test_no_secret_is_written_anywhere(gateway: Gateway) -> None:
    """Planted in every place where a callback holds one, at the most talkative level."""
    body = click("ev1", value={"action": "follow_up", "planted": "planted value"})
    body["event"]["action"]["input_value"] = "planted input"
    wires = [
        signed(encrypted(body), at=_now()),
        signed_legacy(plain(legacy_click()), at=_now()),
        signed(encrypted(b"planted nonsense"), at=_now()),
        signed(encrypted(click()), key="planted key", at=_now()),
        signed(plain(click()), at=_now()),
        Wire(body=plain(verification("planted token"))),
        Wire(body=b"planted body"),
    ]
    for wire in wires:
        await _post(gateway.url, wire)
    for garbage in GARBAGE:
        assert b" 400 " in await _raw(gateway.url, garbage)
    shown = await gateway.stop()
    lines = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert len(wires) == len([line for line in lines if line["event"] == "callback_answered"])
    signatures = [wire.headers["X-Lark-Signature"] for wire in wires if "X-Lark-Signature" in wire.headers]
    assert identity(signatures[1]) in shown  # what the legacy click is known by
    for secret in ("planted", ENCRYPT_KEY, VERIFICATION_TOKEN, CARD_TOKEN, "prove it", "ou_1", *signatures):
        assert secret not in shown


async def test_with_the_brokers_away_it_starts_and_tells_people_the_truth(tmp_path: Path) -> None:
    """Nothing listens on the broker's port: unready, and an honest toast within 2.5 seconds."""
    process = await _start(tmp_path, CARDWIRE_LOG="kafka://127.0.0.1:9")
    gateway = await _ready(process, tmp_path)
    async with asyncio.timeout(2.5):
        status, body = await _post(gateway.url, signed(encrypted(click()), at=_now()))
    assert (200, "error") == (status, body["toast"]["type"])
    await gateway.stop()


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"LARK_APP_ID": ""}, r"LARK_APP_ID is missing: expected .*, for example LARK_APP_ID=cli_"),
        ({"CARDWIRE_PORT": "many"}, r"CARDWIRE_PORT is malformed: expected .*, for example CARDWIRE_PORT=7777"),
        ({"CARDWIRE_APP": "absent:app"}, r"CARDWIRE_APP names the module 'absent'"),
        (
            {"LARK_ENCRYPT_KEY_FILE": "", "LARK_VERIFICATION_TOKEN": ""},
            r"LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN are both missing",
        ),
    ],
)
async def test_what_keeps_it_from_starting_is_one_line(tmp_path: Path, env: dict[str, str], expected: str) -> None:
    """The setting and an example; no traceback."""
    process = await _start(tmp_path, **env)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    shown = (out + err).decode()
    assert 0 != process.returncode
    assert re.search(expected, shown)
    assert "Traceback" not in shown


async def test_out_of_files_it_says_so_once_and_recovers(gateway: Gateway) -> None:
    """More connections than a process may have: one line, no traceback, and the next click is recorded."""
    _allow_no_more_files_than(20, gateway.process.pid)
    host, _, port = gateway.url.removeprefix("http://").rpartition(":")
    silent = [await asyncio.open_connection(host, int(port)) for _ in range(60)]
    await asyncio.sleep(2.5)  # asyncio tries again each second, of real time
    for _, writer in silent:
        writer.close()
    async with asyncio.timeout(10):
        assert 200 == (await _post(gateway.url, signed(encrypted(click()), at=_now())))[0]
    shown = await gateway.stop()
    told = [json.loads(line) for line in shown.splitlines() if "connections_wait" in line]
    assert [("Too many open files", "EMFILE")] == [(line["reason"], line["error"]) for line in told]
    assert "Traceback" not in shown
