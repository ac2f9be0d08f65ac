"""The command line as people run it: a process with an environment, a folder, and what it prints."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COMMAND: Final = (sys.executable, "-P", "-m", "cardwire")
PATIENCE_S: Final = 30.0

HANDLERS: Final = """
from cardwire import App, RenameChat

app = App()


@app.on_action("follow_up")
def follow_up(click, card):
    return [RenameChat("跟进中")]
"""


def environment(folder: Path, **settings: str | None) -> dict[str, str]:
    """Return settings with which everything starts on free ports and files in ``folder``, changed as given."""
    given: dict[str, str | None] = {
        "LARK_APP_ID": "cli_test",
        "LARK_APP_SECRET": "secret-of-the-app",
        "LARK_ENCRYPT_KEY": "key-of-the-app",
        "LARK_VERIFICATION_TOKEN": "token-of-the-app",
        "CARDWIRE_APP": "my_handlers:app",
        "CARDWIRE_LOG": f"sqlite:///{folder / 'log.db'}",
        "CARDWIRE_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
        "CARDWIRE_PORT": "0",
        "CARDWIRE_ADMIN_PORT": "0",
        **settings,
    }
    (folder / "my_handlers.py").write_text(HANDLERS)
    return _inherited("PATH", "PYTHONPATH") | {name: text for name, text in given.items() if text is not None}


def _inherited(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def run(*arguments: str, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**_inherited("PYTHONPATH"), **env},
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A command that is running; what it prints goes to files."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def until(self, pattern: str, times: int = 1) -> re.Match[str]:
        """Wait until it has printed a line that matches, so many times, and return the last match."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = list(re.finditer(pattern, self.out.read_text(), re.MULTILINE))
            if len(found) >= times:
                return found[times - 1]
            assert self.process.poll() is None, f"it ended: {self.err.read_text()}"
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} in {self.out.read_text()!r}; it said {self.err.read_text()!r}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def started(*arguments: str, env: Mapping[str, str], cwd: Path) -> Iterator[Started]:
    """Run a command beside the test, and kill it at the latest when the test is over."""
    name = "-".join(arguments)
    out, err = cwd / f"{name}.out", cwd / f"{name}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen([*COMMAND, *arguments], env=dict(env), cwd=cwd, stdout=stdout, stderr=stderr)
    try:
        yield Started(process=process, out=out, err=err)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


async def piped(*arguments: str, env: Mapping[str, str], cwd: Path) -> asyncio.subprocess.Process:
    """Start a command beside the test, which reads what it prints, and ends it."""
    inherited = _inherited("PATH", "PYTHONPATH", "HOME", "COVERAGE_PROCESS_START")
    return await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env={**inherited, **env}, cwd=cwd,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
