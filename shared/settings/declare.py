"""How a setting is declared: everything that can be said about it, in one place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Generic, TypeVar, cast

T = TypeVar("T")

_SETTING: Final = "setting"
_SECTION: Final = "section"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """
    What texts a setting takes.

    Attributes:
        name: For the reference: ``port``, ``secret`` …
        expected: Completes "expected …" in an error line.
        parse: Returns the value of a text; raises ``ValueError``.
        mountable: May also come from a file named by ``NAME_FILE``.
    """

    name: str
    expected: str
    parse: Callable[[str], T]
    mountable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """
    One setting, as declared.

    Attributes:
        name: The environment variable.
        meaning: What it does, in a sentence.
        example: A text that it takes.
        default: The text that stands in when it is absent; ``None``: there is none.
        unit: Of a number, or ``None``.
        is_required: Absence is a problem.
        aliases: Other names that are read when this one is absent.
    """

    name: str
    kind: Kind[Any]
    meaning: str
    example: str
    default: str | None = None
    unit: str | None = None
    is_required: bool = False
    aliases: tuple[str, ...] = ()


def setting(
    kind: Kind[T],
    name: str,
    *,
    default: str,
    meaning: str,
    example: str | None = None,
    unit: str | None = None,
    aliases: Sequence[str] = (),
) -> T:
    """Declare a field with a default, given as the text one would write; it is the example unless one is given."""
    told = Setting(
        name=name, kind=kind, meaning=meaning, example=example or default, default=default, unit=unit,
        aliases=_aliases(name, aliases),
    )  # fmt: skip
    return field(default=kind.parse(default), metadata={_SETTING: told})


def required(kind: Kind[T], name: str, *, meaning: str, example: str, aliases: Sequence[str] = ()) -> T:
    """Declare a field without which the process does not start."""
    told = Setting(
        name=name, kind=kind, meaning=meaning, example=example, is_required=True, aliases=_aliases(name, aliases)
    )
    return cast("T", field(metadata={_SETTING: told}))


def optional(
    kind: Kind[T], name: str, *, meaning: str, example: str, unit: str | None = None, aliases: Sequence[str] = ()
) -> T | None:
    """Declare a field that is ``None`` when the setting is absent."""
    told = Setting(name=name, kind=kind, meaning=meaning, example=example, unit=unit, aliases=_aliases(name, aliases))
    return cast("T | None", field(default=None, metadata={_SETTING: told}))


def section(of: type[T]) -> T:
    """Declare a field that is itself a settings type, shared by processes."""
    return field(default_factory=of, metadata={_SECTION: of})


def members(of: type[object]) -> Iterator[tuple[str, Setting | type[object]]]:
    """Return the fields of a settings type in order, each with its declaration or its section's type."""
    for member in fields(cast("Any", of)):
        if _SETTING in member.metadata:
            yield member.name, member.metadata[_SETTING]
        elif _SECTION in member.metadata:
            yield member.name, member.metadata[_SECTION]


def declared(of: type[object]) -> Iterator[Setting]:
    """Return every setting of a settings type, sections included, in order."""
    for _, member in members(of):
        if isinstance(member, Setting):
            yield member
        else:
            yield from declared(member)


def _aliases(name: str, more: Sequence[str]) -> tuple[str, ...]:
    # The platform is called Feishu in China and Lark elsewhere; its samples use either word, or none.
    feishu = (name.replace("LARK_", "FEISHU_", 1),) if name.startswith("LARK_") else ()
    return (*feishu, *more)
