"""Environment in, settings out, or one error that lists every problem."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from shared.core.errors import ConfigError
from shared.settings.declare import Setting, members

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

    def build(self, of: type[S]) -> S | None:
        values: dict[str, Any] = {}
        for name, member in members(of):
            value = self._value(member) if isinstance(member, Setting) else self.build(member)
            if value is None and not isinstance(member, Setting):
                value = _WRONG
            if value is not _ABSENT:
                values[name] = value
        if _WRONG in values.values():
            return None
        built = of(**values)
        if isinstance(built, Checked):
            self.problems.extend(built.problems())
        return built

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
        return self._mounted(name, path) if path else text or _ABSENT

    def _mounted(self, name: str, path: str) -> str | _Wrong:
        try:
            # Some editors begin a file with a byte order mark, which nobody sees and no platform takes for a secret.
            text = Path(path).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            text, why = "", error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        else:
            why = "it is empty"
        if text:
            return text
        self.problems.append(
            f"{name}_FILE names {path}, which cannot be used ({why}): expected a readable file that holds the secret, "
            f"for example {name}_FILE=/run/secrets/{name.lower()}"
        )
        return _WRONG

    def _note(self, told: Setting, what: str) -> _Wrong:
        self.problems.append(
            f"{told.name} {what}: expected {told.kind.expected}, for example {told.name}={told.example}"
        )
        return _WRONG


def _warn(message: str) -> None:
    warnings.warn(message, ConfigWarning, stacklevel=2)
