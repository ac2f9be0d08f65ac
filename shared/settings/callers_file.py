"""
The callers of requests: a TOML file with a table for each, naming what it may ask for and its tokens.

Tokens stand in the file as SHA-256, or in files that it names, so that the file itself may be shown to people.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from shared.core.callers import Caller, Callers, digest
from shared.core.effects import REQUESTABLE
from shared.core.errors import ConfigError
from shared.core.events import COMMAND_LINE, OURSELVES
from shared.core.ids import AppId
from shared.settings.declare import Setting, read_from
from shared.settings.kinds import PATH
from shared.settings.tables import read_tables, unusable

CALLERS: Final = Setting(
    name="CARDWIRE_CALLERS",
    kind=PATH,
    meaning="TOML file of the programs that may send requests: for each its apps, its effects and its tokens. Gateway "
    "and worker check by it, each for itself.",
    example="/etc/cardwire/callers.toml",
)

LEAST_TOKEN: Final = 16
"""Characters of the shortest token that is taken: nobody guesses one that was drawn."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_APP: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EFFECT: Final = re.compile("|".join(REQUESTABLE))
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = {
    "apps": '["cli_a1b2c3d4e5f6"]',
    "effects": '["SendCard", "UpdateCard"]',
    "token_sha256": '["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]',
    "token_file": '"/run/secrets/cardwire_billing"',
}


def callers(*, with_tokens: bool) -> Callers | None:
    """Declare who may send requests; a process that only decides them needs no tokens, and reads no file of them."""
    return read_from(CALLERS, partial(read_callers, with_tokens=with_tokens))


def read_callers(path: str, *, with_tokens: bool) -> Callers:
    """
    Read a file of callers.

    Args:
        with_tokens: Also read what tells them from each other.

    Raises:
        ConfigError: With a line for each problem. No line repeats what could be a token.
    """
    tables = _tables(path)
    reading = _Reading(with_tokens=with_tokens)
    found = {name: reading.caller(name, table) for name, table in tables.items()}
    reading.check_shared(found.values())
    if reading.problems:
        raise ConfigError("\n".join(reading.problems))
    return Callers(by_name=found)


class _Reading:
    def __init__(self, *, with_tokens: bool) -> None:
        self._with_tokens = with_tokens
        self.problems: list[str] = []

    def caller(self, name: str, table: object) -> Caller:
        """Return a caller, as far as its table can be read; notes what is wrong."""
        if not _NAME.fullmatch(name) or not isinstance(table, dict):
            told = f"caller {name}" if _NAME.fullmatch(name) else "the name of a caller"
            self._note(
                f"{told} is malformed: expected a table whose name has up to 64 letters, digits, dashes and "
                "underscores, for example [callers.billing]"
            )
            return Caller(name="", apps=frozenset(), effects=frozenset())
        if name in {OURSELVES, COMMAND_LINE}:
            self._note(f"caller {name} is Cardwire itself: expected another name, for example [callers.billing]")
        for key in table.keys() - _FIELDS.keys():
            told = key if _NAME.fullmatch(key) else "something"
            self._note(f"caller {name}: {told} is no field: expected some of {', '.join(_FIELDS)}")
        return Caller(
            name=name,
            apps=frozenset(AppId(app) for app in self._texts(name, table, "apps", "ids of apps", _APP)),
            effects=frozenset(self._texts(name, table, "effects", f"some of {', '.join(REQUESTABLE)}", _EFFECT)),
            digests=tuple(self._digests(name, table)) if self._with_tokens else (),
        )

    def check_shared(self, found: Iterable[Caller]) -> None:
        """Note a token that two callers have: it would not tell who calls."""
        owner: dict[bytes, str] = {}
        for caller in found:
            for known in caller.digests:
                if owner.setdefault(known, caller.name) != caller.name:
                    self._note(f"callers {owner[known]} and {caller.name} share a token: expected one for each")

    def _texts(
        self, name: str, table: Mapping[str, Any], field: str, what: str, pattern: re.Pattern[str]
    ) -> Sequence[str]:
        given = table.get(field)
        texts = given if isinstance(given, list) else []
        if not texts or not all(isinstance(text, str) and pattern.fullmatch(text) for text in texts):
            self._note_field(name, field, "is missing" if given is None else "is malformed", f"a list of {what}")
            return ()
        return texts

    def _digests(self, name: str, table: Mapping[str, Any]) -> Iterator[bytes]:
        if not table.keys() & {"token_sha256", "token_file"}:
            self._note_field(name, "token_file", "is missing", "a file with its token, or token_sha256")
        if (given := table.get("token_sha256")) is not None:
            texts = given if isinstance(given, list) else [given]
            if texts and all(isinstance(text, str) and _SHA256.fullmatch(text) for text in texts):
                yield from map(bytes.fromhex, texts)
            else:
                self._note_field(name, "token_sha256", "is malformed", "64 lower-case hex digits for each token")
        if (path := table.get("token_file")) is not None:
            yield from self._mounted(name, path)

    def _mounted(self, name: str, path: object) -> Iterator[bytes]:
        expected = f"a readable file with a token of at least {LEAST_TOKEN} characters on each line"
        lines, why = _lines(path)
        if not lines or min(map(len, lines)) < LEAST_TOKEN:
            self._note_field(name, "token_file", f"cannot be used ({_shown(path)}{why})", expected)
            return
        yield from map(digest, lines)

    def _note_field(self, name: str, field: str, what: str, expected: str) -> None:
        self._note(f"caller {name}: {field} {what}: expected {expected}, for example {field} = {_FIELDS[field]}")

    def _note(self, problem: str) -> None:
        self.problems.append(f"{CALLERS.name}: {problem}")


def _lines(path: object) -> tuple[Sequence[str], str]:
    """Return what a file of tokens holds, and why that could not be used."""
    if not isinstance(path, str):
        return [], "it is no text"
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split()
    except OSError as error:
        return [], error.strerror or type(error).__name__
    except ValueError:
        return [], "it is not UTF-8 text"
    return lines, "a token in it is too short" if lines else "it is empty"


def _shown(path: object) -> str:
    """Return a path as it may be printed: what is no absolute one could be a token, given in its place."""
    return f"{path}: " if isinstance(path, str) and path.startswith("/") and path.isprintable() else ""


def _tables(path: str) -> Mapping[str, object]:
    found = read_tables(path, CALLERS, of="caller")
    tables = found.get("callers")
    if found.keys() != {"callers"} or not isinstance(tables, dict) or not tables:
        raise unusable(path, CALLERS, "it does not consist of tables of callers, as [callers.billing]", of="caller")
    return tables
