"""What the documents tell to type, typed by somebody without an account: only ports and addresses are others."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.commands import environment, started
from tests.support.documents import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="the quickstart clicks with curl: apt install curl"),
]

QUICKSTART: Final = (ROOT / "docs" / "quickstart.md").read_text()
RELEASE: Final = ROOT / "examples" / "release"
FEISHU_APP: Final = (ROOT / "docs" / "howto" / "feishu-app.md").read_text()
PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody with a shell in a folder, who types what the document shows."""

    folder: Path
    env: Mapping[str, str]
    simulator_port: int

    def block(self, beginning: str, of: str = QUICKSTART) -> str:
        """Return the block that begins so, with this reader's port."""
        (found,) = re.findall(rf"^```\w+\n({re.escape(beginning)}.*?)^```", of, re.MULTILINE | re.DOTALL)
        return str(found).replace("8900", str(self.simulator_port))

    def types(self, text: str) -> str:
        """Return what a shell prints."""
        ran = subprocess.run(
            ["bash", "-c", text], cwd=self.folder, env=self.env, check=True, capture_output=True, timeout=PATIENCE_S
        )
        return ran.stdout.decode()

    @contextmanager
    def terminal(self, name: str, text: str) -> Iterator[None]:
        """Keep something running in a terminal of its own; it works once it has printed its ready lines."""
        out = self.folder / f"{name}.out"
        with out.open("wb") as stdout:
            shell = subprocess.Popen(
                ["bash", "-c", text],
                cwd=self.folder,
                env=self.env,
                stdout=stdout,
                stderr=stdout,
                start_new_session=True,
            )
        try:
            self.until(lambda: out.read_text().count(" ready ") == {"simulator": 1, "run": 2}[name], out)
            yield
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            shell.wait(PATIENCE_S)

    def until(self, holds: Callable[[], bool], out: Path) -> None:
        """Wait, bounded; what was printed meanwhile is told if it does not come about."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, out.read_text()
            time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Return a reader who has installed Cardwire."""
    callbacks, simulator = _free_port(), _free_port()
    return Reader(
        folder=tmp_path,
        simulator_port=simulator,
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "CARDWIRE_PORT": str(callbacks),
            "CARDWIRE_ADMIN_PORT": "0",
            "CARDWIRE_SIMULATOR_PORT": str(simulator),
            "CARDWIRE_SIMULATOR_CALLBACK": f"http://127.0.0.1:{callbacks}/webhook/card",
        },
    )


def test_whoever_follows_the_quickstart_turns_a_card_and_renames_a_group(reader: Reader) -> None:
    """The files go where it says, two terminals stay open, and in the third one clicks and looks."""
    (handlers,) = re.findall(r"into `handlers\.py`:\n\n```python\n(.*?)^```", QUICKSTART, re.MULTILINE | re.DOTALL)
    (reader.folder / "handlers.py").write_text(handlers)
    (reader.folder / "simulated.env").write_text(
        reader.block("LARK_APP_ID=cli_a1b2c3d4e5f6\nLARK_APP_SECRET=simulated")
    )
    (reader.folder / "alert.json").write_text(reader.block("{"))
    settings = "set -a; . ./simulated.env; set +a\n"
    with ExitStack() as terminals:
        terminals.enter_context(reader.terminal("simulator", reader.block(settings + "cardwire simulator")))
        terminals.enter_context(reader.terminal("run", reader.block(settings + "cardwire run")))
        told = reader.types(reader.block("SIM=") + "\necho; echo SIM=$SIM CHAT=$CHAT CARD=$CARD")
        seen, places = told.splitlines()[-2:]
        assert "正在跟进" in seen
        look = f"{places}\n" + reader.block("curl -s $SIM/messages")
        reader.until(lambda: _have_changed(reader.types(look)), reader.folder / "run.out")


def test_whoever_follows_the_release_example_releases_by_a_card_that_cardwire_sent(reader: Reader) -> None:
    """The card says so where the button stood, and its story can be read."""
    document = (RELEASE / "README.md").read_text()
    shutil.copy(RELEASE / "release.py", reader.folder)
    (reader.folder / "simulated.env").write_text(reader.block("LARK_APP_ID=", document))
    settings = "set -a; . ./simulated.env; set +a\n"
    with ExitStack() as terminals:
        for name in ("simulator", "run"):
            terminals.enter_context(reader.terminal(name, reader.block(f"{settings}cardwire {name}", document)))
        told = reader.types(reader.block(f"{settings}SIM=", document) + "\necho; echo SIM=$SIM CHAT=$CHAT")
        places = f"{settings}{told.splitlines()[-1]}\n"
        press, look = reader.block("CARD=", document), reader.block("curl -s $SIM/messages", document)
        reader.until(lambda: '"om_' in reader.types(f"{places}curl -s $SIM/chats/$CHAT"), reader.folder / "run.out")
        assert "正在发布" in reader.types(places + press)
        found = places + press.splitlines()[0] + "\n"
        reader.until(lambda: "已完成" in reader.types(found + look), reader.folder / "run.out")
        assert "public_publish" in reader.types(found + look)


def test_whoever_asks_whether_the_way_is_open_sees_401(tmp_path: Path) -> None:
    """The gateway lets nobody in but the platform, so its refusal says that it was reached."""
    (asking,) = re.findall(r"^curl .*%\{http_code\}.*$", FEISHU_APP, re.MULTILINE)
    with started("gateway", env=environment(tmp_path), cwd=tmp_path) as gateway:
        callbacks = gateway.until(r"^gateway ready callbacks=(http://127\.0\.0\.1:\d+)")[1]
        asked = asking.replace("https://your.example.com", callbacks)
        ran = subprocess.run(["bash", "-c", asked], check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert "401\n" == ran.stdout


def _have_changed(card_and_chat: str) -> bool:
    return "跟进中（1）" in card_and_chat and re.search(r'"name": ?"跟进中"', card_and_chat) is not None
