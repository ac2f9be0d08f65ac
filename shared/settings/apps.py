"""
Several apps: a TOML file with a table for each, read by the rules of one app's environment.

A table is turned into the environment that one app alone would have, and loaded as that. So a field is a setting of
one app, less ``LARK_`` and in lower case, ``encrypt_key`` for ``LARK_ENCRYPT_KEY``, and every rule and every line about
one app holds for each of several; `respelled` puts a line into the words of the file.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, Protocol

from shared.core.ids import AppId
from shared.settings.declare import Setting, declared, mounted_at, section
from shared.settings.kinds import PATH
from shared.settings.sections import CallbackSettings, PlatformSettings, RecordingSettings, app_id, handlers
from shared.settings.tables import read_tables

APPS: Final = Setting(
    name="CARDWIRE_APPS",
    kind=PATH,
    meaning="TOML file of several apps, in place of the settings of one.",
    example="/etc/cardwire/apps.toml",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFields:
    """Everything that can be said about an app; a process reads of it what it needs."""

    app_id: AppId = app_id()
    platform: PlatformSettings = section(PlatformSettings)
    callbacks: CallbackSettings = section(CallbackSettings)
    recording: RecordingSettings = section(RecordingSettings)
    handlers: str = handlers()


ONLY_APP: Final = "LARK_APP_ID"
"""The setting that names an app in the environment: the only one, with the short paths."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIX: Final = "LARK_"
_COMMON: Final = {
    "CARDWIRE_APP": "handlers",
    "CARDWIRE_KEEP_FORM_VALUE": "keep_form_value",
    "CARDWIRE_KEEP_CALLBACK": "keep_callback",
}
"""Settings that hold for every app whose table has no such field, and the fields."""

_OF_FIELD: Final = {field: setting for setting, field in _COMMON.items()}
_SPELLED: Final = re.compile(rf"\b(LARK_[A-Z_]+|{'|'.join(_COMMON)})\b(?:=([^\s]*[^\s,;:]))?")


def field_of(setting: str) -> str:
    """Return what a setting of one app is called in the file: ``app_id`` for ``LARK_APP_ID``."""
    return _COMMON.get(setting) or setting.removeprefix(_PREFIX).lower()


def setting_of(field: str) -> str:
    """Return the setting that a field stands for; the inverse of `field_of`."""
    return _OF_FIELD.get(field) or _PREFIX + field.upper()


def respelled(line: str, name: str | None) -> str:
    """Return a line about an app in the words of the file: its name, and fields for settings; as is without a name."""
    return line if name is None else f"{APPS.name}: app {name}: {_SPELLED.sub(_as_field, line)}"


def _as_field(found: re.Match[str]) -> str:
    name, text = found.groups()
    return field_of(name) if text is None else f'{field_of(name)} = "{text}"'


def read_apps(path: str) -> "Tables":
    """
    Read a file of apps.

    Raises:
        ConfigError: It cannot be used at all.
    """
    found = read_tables(path, APPS, of="app")
    apps = found.pop("apps", {})
    tables = {name: table for name, table in apps.items() if _is_app(name, table)} if isinstance(apps, dict) else {}
    return Tables(by_name=tables, problems=(*_outside(found), *_misnamed(apps), *_unfit(tables)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """
    A file of apps, as it was written.

    Attributes:
        by_name: The table of each app.
        problems: What is wrong with the file beside the values of fields; a line each.
    """

    by_name: Mapping[str, Mapping[str, Any]] = field(repr=False)
    problems: tuple[str, ...]

    def environment(self, name: str, env: Mapping[str, str]) -> Mapping[str, str]:
        """Return the environment of one app alone: its fields, and what holds for all that have no such field."""
        common = {setting: env[setting] for setting in _COMMON if setting in env}
        return {**common, **{setting_of(key): _text(key, value) for key, value in self.by_name[name].items()}}


class Named(Protocol):
    """One of several apps."""

    @property
    def name(self) -> str | None:
        """What it is called in the file."""

    @property
    def app_id(self) -> AppId:
        """The platform's id of it."""


def one_of_each(apps: Sequence[Named]) -> Iterator[str]:
    """Return a line for each app whose id another one has before it."""
    for one, other in combinations(apps, 2):
        if one.app_id == other.app_id:
            told = f"LARK_APP_ID is that of {one.name} as well: expected each app once, for example LARK_APP_ID=cli_b2"
            yield respelled(told, other.name)


def is_mounted(env: Mapping[str, str]) -> bool:
    """Say whether files hold anything about the apps, so that it may change while a process runs."""
    told = [one for one in declared(AppFields) if one.kind.mountable]
    files = {f"{name}_FILE" for one in told for name in (one.name, *one.aliases)}
    return any(env.get(name, "").strip() for name in files | {APPS.name})


def beside(env: Mapping[str, str]) -> Iterator[Setting]:
    """Return the settings of one app in an environment; they have no meaning beside a file of several."""
    for told in declared(AppFields):
        names = [*(told.name, *told.aliases), *(f"{told.name}_FILE",) * told.kind.mountable]
        if told.name not in _COMMON and any(env.get(name, "").strip() for name in names):
            yield told


def _is_app(name: str, table: object) -> bool:
    return bool(_NAME.fullmatch(name)) and isinstance(table, dict)


def _outside(found: Mapping[str, Any]) -> Iterator[str]:
    for name in found:
        if name == "app":
            yield f"{APPS.name}: [app.…] is no table of apps: did you mean [apps.alerts]?"
            continue
        told = name if _NAME.fullmatch(name) else "a field"
        yield f"{APPS.name}: {told} stands outside of any app: expected it below a name, for example [apps.alerts]"


def _misnamed(apps: object) -> Iterator[str]:
    if not isinstance(apps, dict) or not apps:
        yield f"{APPS.name}: the file names no app: expected a table for each, for example [apps.alerts]"
        return
    for name, table in apps.items():
        if not _is_app(name, table):
            told = f"app {name}" if _NAME.fullmatch(name) else "the name of an app"
            yield (
                f"{APPS.name}: {told} is malformed: expected a table whose name has up to 64 letters, digits, dashes "
                "and underscores, for example [apps.alerts]"
            )


def _unfit(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    known = _fields()
    for name, table in tables.items():
        for key, value in table.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0)[0]
                told = key if _NAME.fullmatch(key) else "something"
                yield f'{APPS.name}: app {name}: {told} is no field: did you mean {near} = "{known[near]}"?'
            elif not isinstance(value, str):
                yield f'{APPS.name}: app {name}: {key} is malformed: expected text, for example {key} = "{known[key]}"'


def _fields() -> dict[str, str]:
    """Return every field and an example of it."""
    told = list(declared(AppFields))
    files = {f"{field_of(one.name)}_file": mounted_at(one.name) for one in told if one.kind.mountable}
    return {field_of(one.name): one.example for one in told} | files


def _text(key: str, value: object) -> str:
    # What is no text is told of by `_unfit`; the example in its place is told of by nobody.
    return value if isinstance(value, str) else _fields().get(key, "")
