"""Environment in, settings out, or one error that lists every problem."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, assert_never, runtime_checkable

from shared.core.errors import ConfigError
from shared.settings.apps import ONLY_APP, beside, is_mounted, read_apps, respelled
from shared.settings.callers_file import CALLERS
from shared.settings.declare import Member, Read, Section, Setting, Several, members, mounted_at

S = TypeVar("S")


class ConfigWarning(UserWarning):
    """Settings that contradict each other, and which of them is used."""


@runtime_checkable
class Checked(Protocol):
    """A settings type whose fields must also agree with each other."""

    def problems(self) -> Iterator[str]:
        """Return one line per contradiction, each naming the settings and an example."""


def load(of: type[S], env: Mapping[str, str], *, warn: Callable[[str], None] | None = None) -> S:
    """
    Build the settings of a process from its environment.

    An empty variable counts as absent. A secret is also read from the file that ``NAME_FILE`` names.

    Args:
        of: The process's settings type.
        env: Usually ``os.environ``.
        warn: Called with each contradiction that does not prevent the start; Python's warnings unless given.

    Raises:
        ConfigError: One line per problem: the name, what was expected, an example. Values are never shown.
    """
    reading = _Reading(env, warn or _warn)
    built = reading.build(of)
    if built is None or reading.problems:
        raise ConfigError("\n".join(dict.fromkeys(reading.problems)))
    return built


def rereader(of: type[S], env: Mapping[str, str]) -> Callable[[], S] | None:
    """
    Return what reads the settings of a process again; ``None`` if none of its apps or callers lies in a file.

    What it returns raises as `load` does, and warns of nothing: that was done at start.
    """
    return partial(load, of, env, warn=lambda _: None) if is_mounted(env) or env.get(CALLERS.name, "").strip() else None


class _Absent:
    """The setting is not there."""


class _Wrong:
    """The setting is there and cannot be used; the problem is noted."""


_ABSENT: Final = _Absent()
_WRONG: Final = _Wrong()


class _Reading:
    def __init__(self, env: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._env = env
        self._warn = warn
        self.problems: list[str] = []

    def build(self, of: type[S], **known: Any) -> S | None:
        values = dict(known)
        for name, member in members(of):
            value = self._member(member, values)
            if value is not _ABSENT:
                values[name] = value
        if _WRONG in values.values():
            return None
        built = of(**values)
        if isinstance(built, Checked):
            self.problems.extend(built.problems())
        return built

    def _member(self, member: Member, before: Mapping[str, Any]) -> Any:
        match member:
            case Setting():
                return self._value(member)
            case Section(of=of, wanted=wanted):
                is_read = wanted is None or wanted(before)
                return (self.build(of) or _WRONG) if is_read else _ABSENT
            case Several():
                return self._several(member)
            case Read():
                return self._read(member)
            case _ as unreachable:
                assert_never(unreachable)

    def _several(self, told: Several) -> Any:
        path = self._value(told.file)
        if path is _ABSENT:
            only = self.build(told.of)
            return _WRONG if only is None else (only,)
        self._check_beside(told.file)
        try:
            tables = read_apps(path)
        except ConfigError as error:
            self.problems.append(str(error))
            return _WRONG
        self.problems.extend(tables.problems)
        apps = [self._app(told.of, name, tables.environment(name, self._env)) for name in tables.by_name]
        built = tuple(app for app in apps if app is not None)
        self.problems.extend(told.check(built))
        return built if len(built) == len(apps) else _WRONG

    def _app(self, of: type[S], name: str, env: Mapping[str, str]) -> S | None:
        reading = _Reading(env, self._warn)
        built = reading.build(of, name=name)
        self.problems.extend(respelled(problem, name) for problem in reading.problems)
        return built

    def _check_beside(self, file: Setting) -> None:
        names = [told.name for told in beside(self._env)]
        if ONLY_APP in names:
            self.problems.append(
                f"{file.name} and {ONLY_APP} are both set: expected all apps in the file, or one in the environment, "
                f"because /webhook/card can be one app's only, for example {file.name}={file.example} alone"
            )
        elif names:
            self._warn(f"{file.name} is used, and not {', '.join(names)}: the apps are those of the file")

    def _read(self, told: Read) -> Any:
        path = self._value(told.file)
        if isinstance(path, _Absent | _Wrong):
            return path
        try:
            return told.read(path)
        except ConfigError as error:
            self.problems.extend(str(error).splitlines())
            return _WRONG

    def _value(self, told: Setting) -> Any:
        text = self._text(told)
        if isinstance(text, _Wrong):
            return _WRONG
        if isinstance(text, _Absent):
            return self._note(told, "is missing") if told.is_required else _ABSENT
        try:
            return told.kind.parse(text)
        except ValueError:
            return self._note(told, "is malformed")

    def _text(self, told: Setting) -> str | _Absent | _Wrong:
        found = {name: text for name in (told.name, *told.aliases) if (text := self._of(name, told)) is not _ABSENT}
        if _WRONG in found.values():
            return _WRONG
        if len(set(found.values())) > 1:
            names = list(found)
            self._warn(f"{' and '.join(names)} differ: {names[0]} is used")
        return next(iter(found.values()), _ABSENT)

    def _of(self, name: str, told: Setting) -> str | _Absent | _Wrong:
        text = self._env.get(name, "").strip()
        path = self._env.get(f"{name}_FILE", "").strip() if told.kind.mountable else ""
        if text and path:
            self.problems.append(f"{name} and {name}_FILE are both set: keep one of them")
            return _WRONG
        return self._mounted(name, path, told) if path else text or _ABSENT

    def _mounted(self, name: str, path: str, told: Setting) -> str | _Absent | _Wrong:
        try:
            # Some editors begin a file with a byte order mark, which nobody sees and no platform takes for a secret.
            text = Path(path).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            text, why = "", error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        else:
            why = "it is empty"
            if not text and told.kind.may_be_empty:
                return _ABSENT
        if text:
            return text
        self.problems.append(
            f"{name}_FILE names {path}, which cannot be used ({why}): expected a readable file that holds the secret, "
            f"for example {name}_FILE={mounted_at(name)}"
        )
        return _WRONG

    def _note(self, told: Setting, what: str) -> _Wrong:
        self.problems.append(
            f"{told.name} {what}: expected {told.kind.expected}, for example {told.name}={told.example}"
        )
        return _WRONG


def _warn(message: str) -> None:
    warnings.warn(message, ConfigWarning, stacklevel=2)
