"""
Names in the environment that look like settings and are none.

A misspelt setting would otherwise change nothing without a word: its default counts, and the only trace is what
does not happen. Every command knows the settings of all of them, since one environment usually serves several.
"""

import difflib
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from cardwire.cli.settings import RunSettings
from gateway.settings import GatewaySettings
from shared.settings import ConfigWarning, Setting, declared
from simulator.settings import SimulatorSettings
from worker.settings import WorkerSettings

OURS: Final = re.compile(r"(?:CARDWIRE|FEISHU|LARK)_")

OTHERS: Final = re.compile(
    r"CARDWIRE_(?:TEST_\w+|REQUIRE_SERVICES|ENV_FILE|IMAGE|BASE|PULL|PROXY_IMAGE|PUBLISH|REQUESTS_PUBLISH|SIMULATOR_PUBLISH|SECRETS|HANDLERS)"
)
"""Ours, but no process reads them: those of the tests, and those of docker-compose.yml."""

NEAR: Final = 0.75
"""How alike two names must be behind their prefix (0 to 1) for one to be taken for the other."""


def warn_of_misspelt(env: Iterable[str]) -> None:
    """Warn once of each name in the environment that was probably meant to be a setting."""
    for line in misspelt(env, settings()):
        warnings.warn(line, ConfigWarning, stacklevel=2)


def settings() -> Collection[Setting]:
    """Return the settings of all processes."""
    return [told for of in (GatewaySettings, WorkerSettings, RunSettings, SimulatorSettings) for told in declared(of)]


def misspelt(env: Iterable[str], told: Collection[Setting]) -> Iterator[str]:
    """Return a line for each name that begins like a setting and is none, with the one that it resembles."""
    known = {name for setting in told for name in _names(setting)}
    for name in sorted(env):
        if OURS.match(name) and name not in known and not OTHERS.fullmatch(name):
            near = _nearest(name, known)
            yield f"{name} is not a setting: " + (f"did you mean {near}?" if near else "it changes nothing")


def _nearest(name: str, known: Collection[str]) -> str | None:
    if (bare := name.removesuffix("_FILE")) in known:
        return bare  # no secret, so it cannot be mounted
    prefix, _, rest = name.partition("_")
    others = sorted(other.removeprefix(f"{prefix}_") for other in known if other.startswith(f"{prefix}_"))
    near = difflib.get_close_matches(rest, others, n=1, cutoff=NEAR)
    return f"{prefix}_{near[0]}" if near else None


def _names(setting: Setting) -> Iterator[str]:
    for name in (setting.name, *setting.aliases):
        yield name
        if setting.kind.mountable:
            yield f"{name}_FILE"
