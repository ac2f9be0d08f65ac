"""`cardwire run`: a whole Cardwire on one machine, on SQLite files, as two processes."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from cardwire.cli import process
from cardwire.cli.settings import RunSettings
from cardwire.cli.supervise import Child, supervise
from gateway.settings import GatewaySettings
from shared.app.load import load_apps
from shared.clock import SystemClock
from shared.core.errors import ConfigError
from shared.observability import configure_logs, say
from worker.settings import WorkerSettings

LAST_PORT: Final = 65_535

_SQLITE: Final = "sqlite:///"


def run_both(env: Mapping[str, str]) -> None:
    """
    Keep a gateway and a worker running until told to stop.

    Raises:
        ConfigError: The settings or the handlers are not such that both processes can start.
        GivenUp: One of the processes cannot be kept running.
    """
    env = with_files(env, Path.cwd())
    settings = check(env)
    configure_logs(settings.observability.level, settings.observability.format)
    load_apps(settings.apps)
    make_folder(Path(RunSettings.load(env).data))
    make_folder_of_log(settings.log.url)
    children = [
        _child("gateway", env),
        _child("worker", {**env, "CARDWIRE_ADMIN_PORT": str(worker_admin_port(settings.admin_port))}),
    ]
    process.run(supervise(children, clock=SystemClock(), tell=_tell), fast=False)


def with_files(env: Mapping[str, str], here: Path) -> Mapping[str, str]:
    """Return the environment with log and ledger in the data folder, where it does not say otherwise."""
    data = here / RunSettings.load(env).data
    files = {"CARDWIRE_LOG": data / "log.db", "CARDWIRE_LEDGER": data / "ledger.db"}
    absent = {name: path for name, path in files.items() if not (env.get(name) or env.get(f"{name}_FILE"))}
    return {**env, "CARDWIRE_DATA": str(data), **{name: f"sqlite:///{path}" for name, path in absent.items()}}


def check(env: Mapping[str, str]) -> GatewaySettings:
    """
    Return the gateway's settings if both processes can start with this environment.

    Raises:
        ConfigError: With all problems of both, each once.
    """
    problems: list[str] = []
    settings = _loaded(GatewaySettings.load, env, problems)
    _loaded(WorkerSettings.load, env, problems)
    if settings is not None and settings.admin_port == LAST_PORT:
        problems.append(
            f"CARDWIRE_ADMIN_PORT is {LAST_PORT}, and the worker takes the next: expected a port below, for example "
            "CARDWIRE_ADMIN_PORT=9101"
        )
    if settings is None or problems:
        raise ConfigError("\n".join(_each_once(problems)))
    return settings


def _each_once(problems: Iterable[str]) -> Iterable[str]:
    """Return the lines without repetitions: a setting that both processes miss is missing once, whatever for."""
    told: dict[str, str] = {}
    for line in problems:
        what, _, why = line.partition(" is missing: ")
        told.setdefault(what if why else line, line)
    return told.values()


def _loaded(
    loader: Callable[[Mapping[str, str]], GatewaySettings | WorkerSettings], env: Mapping[str, str], problems: list[str]
) -> GatewaySettings | None:
    try:
        settings = loader(env)
    except ConfigError as error:
        problems.extend(str(error).splitlines())
        return None
    return settings if isinstance(settings, GatewaySettings) else None


def worker_admin_port(gateway_admin_port: int) -> int:
    """Return the worker's admin port beside a gateway's: the next one; 0, any free one, stays 0."""
    return gateway_admin_port and gateway_admin_port + 1


def make_folder(data: Path) -> None:
    """
    Make the data folder, for nobody else to read: it holds what people typed.

    Raises:
        ConfigError: It cannot be made.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"CARDWIRE_DATA is {data}, which cannot be made ({error.strerror}): expected a folder that can be written, "
            "for example CARDWIRE_DATA=/var/lib/cardwire"
        ) from error


def make_folder_of_log(url: str) -> None:
    """
    Make the folder of a SQLite log that lies elsewhere; of another log, nothing.

    Raises:
        ConfigError: It cannot be made, or nothing can be written there.
    """
    if not url.startswith(_SQLITE):
        return
    folder = Path(url.removeprefix(_SQLITE)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise ConfigError(
            f"CARDWIRE_LOG lies in {folder}, where nothing can be written ({error.strerror}): expected a file in a "
            "folder that can be written, for example CARDWIRE_LOG=sqlite:////var/lib/cardwire/log.db"
        ) from error


def _child(name: str, env: Mapping[str, str]) -> Child:
    # -P: a folder called `worker` where the command is run does not take the place of ours.
    command = (sys.executable, "-P", "-m", "cardwire", name, "--parent", str(os.getpid()))
    return Child(name=name, command=command, env=env)


def _tell(line: str) -> None:
    say(f"cardwire: {line}")
