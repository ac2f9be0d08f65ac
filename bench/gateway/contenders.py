"""
Who is measured: the gateway on three kinds of log, and what people run instead.

====================  ====================================================================================
``cardwire``          `cardwire gateway` on a real Kafka: durable, marked, logged and counted
``cardwire-2``        two processes of it, which share the port
``cardwire-sqlite``   the same on the SQLite log
``cardwire-spill``    the same while its breaker is open: no broker, everything goes to the spill
``naive``             naive.py: one aiohttp route; stores nothing
``flask``             lark-oapi, Flask and gunicorn (four threads); stores nothing
``go``                the official Go SDK's HTTP handler; stores nothing
====================  ====================================================================================
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gateway.callbacks import CREDENTIALS
from tests.support import ServiceMissing
from tests.support.kafka import free_ports

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
SDK: Final = ("lark-oapi==1.7.5", "flask==3.1.*", "gunicorn>=23")
BUILD_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """
    A server that can be started.

    Attributes:
        command: Given the port that it shall listen on.
        ready: It prints this when all of it serves; absent: it does when it answers.
        env: Given a folder of its own.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    env: Callable[[Path], Mapping[str, str]] = lambda _: {}
    ready: str = ""


def contender(name: str, *, kafka: str, prefix: str) -> Contender:
    """
    Return one by its name.

    Args:
        kafka: ``host:port`` of a broker on which the topics exist.
        prefix: Of those topics.

    Raises:
        ServiceMissing: It cannot be run here; says what is missing.
    """
    log = {"CARDWIRE_LOG": f"kafka://{kafka}", "CARDWIRE_TOPIC_PREFIX": prefix}
    match name:
        case "cardwire" | "cardwire-2":
            processes = "2" if name == "cardwire-2" else "1"
            log = {**log, "CARDWIRE_PROCESSES": processes}
            return _ours(name, lambda folder: {**log, "CARDWIRE_SPILL": str(folder / "spill")})
        case "cardwire-sqlite":
            return _ours(name, lambda folder: {"CARDWIRE_LOG": f"sqlite:///{folder}/log.db"})
        case "cardwire-spill":
            nobody = f"kafka://127.0.0.1:{free_ports(1)[0]}"
            rows = {"CARDWIRE_SPILL_MAX_ROWS": "10000000", "CARDWIRE_SPILL_MAX_MB": "16384"}
            return _ours(name, lambda folder: {"CARDWIRE_LOG": nobody, "CARDWIRE_SPILL": str(folder / "spill"), **rows})
        case "naive":
            program = str(HERE / "naive.py")
            return Contender(name=name, command=lambda port: [sys.executable, program, str(port)])
        case "flask":
            gunicorn = [str(_flask()), "--chdir", str(HERE), "--workers", "1", "--threads", "4", "--log-level", "error"]
            return Contender(name=name, command=lambda port: [*gunicorn, "-b", f"127.0.0.1:{port}", "sdk_flask:app"])
        case "go":
            program = str(_go())
            return Contender(name=name, command=lambda port: [program, str(port)])
        case _:
            raise ValueError(name)


def environment() -> Mapping[str, str]:
    """Return our own environment less what would set up Cardwire, and the credentials of nobody's app."""
    others = ("LARK_", "FEISHU_", "CARDWIRE_", "APP_", "ENCRYPT_KEY", "VERIFICATION_TOKEN")
    bare = {name: text for name, text in os.environ.items() if not name.startswith(others)}
    return {**bare, **CREDENTIALS}


def _ours(name: str, log: Callable[[Path], Mapping[str, str]]) -> Contender:
    def env(folder: Path) -> Mapping[str, str]:
        return {"CARDWIRE_APP": "bench.gateway.handlers:app", "CARDWIRE_ADMIN_PORT": "0", **log(folder)}

    command = [sys.executable, "-P", "-m", "cardwire", "gateway", "--port"]
    return Contender(name=name, command=lambda port: [*command, str(port)], env=env, ready="gateway ready ")


def _flask() -> Path:
    """Return gunicorn of an environment of its own, made the first time."""
    folder = _cache() / "bench-lark-oapi-flask"
    gunicorn = folder / "bin" / "gunicorn"
    if not gunicorn.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _build("lark-oapi with Flask", [sys.executable, "-m", "venv", str(folder)])
        _build("lark-oapi with Flask", [str(folder / "bin" / "pip"), "install", "--quiet", *SDK])
    return gunicorn


def _go() -> Path:
    """Return the Go server, built the first time."""
    compiler = shutil.which("go")
    if compiler is None:
        raise ServiceMissing("the Go SDK needs Go 1.21 or newer (https://go.dev/dl)")
    program = _cache() / "bench-go-sdk"
    _build("the Go SDK's server", [compiler, "build", "-o", str(program), "."], cwd=HERE / "go")
    return program


def _build(what: str, command: Sequence[str], *, cwd: Path | None = None) -> None:
    try:
        subprocess.run(command, check=True, cwd=cwd, capture_output=True, text=True, timeout=BUILD_S)
    except subprocess.CalledProcessError as error:
        raise ServiceMissing(f"{what} cannot be built: {error.stderr.strip().splitlines()[-1:]}") from error


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cardwire"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
