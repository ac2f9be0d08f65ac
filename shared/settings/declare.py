"""How a setting is declared: everything that can be said about it, in one place."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Generic, TypeVar, assert_never, cast

T = TypeVar("T")

_MEMBER: Final = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """
    What texts a setting takes.

    Attributes:
        name: For the reference: ``port``, ``secret`` …
        expected: Completes "expected …" in an error line.
        parse: Returns the value of a text; raises ``ValueError``.
        mountable: May also come from a file named by ``NAME_FILE``.
        may_be_empty: Such a file may hold nothing: then the setting is absent.
    """

    name: str
    expected: str
    parse: Callable[[str], T]
    mountable: bool = False
    may_be_empty: bool = False


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
    return field(default=kind.parse(default), metadata={_MEMBER: told})


def required(kind: Kind[T], name: str, *, meaning: str, example: str, aliases: Sequence[str] = ()) -> T:
    """Declare a field without which the process does not start."""
    told = Setting(
        name=name, kind=kind, meaning=meaning, example=example, is_required=True, aliases=_aliases(name, aliases)
    )
    return cast("T", field(metadata={_MEMBER: told}))


def optional(
    kind: Kind[T], name: str, *, meaning: str, example: str, unit: str | None = None, aliases: Sequence[str] = ()
) -> T | None:
    """Declare a field that is ``None`` when the setting is absent."""
    told = Setting(name=name, kind=kind, meaning=meaning, example=example, unit=unit, aliases=_aliases(name, aliases))
    return cast("T | None", field(default=None, metadata={_MEMBER: told}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """
    A field that is itself a settings type.

    Attributes:
        wanted: Told the values of the fields before it; where it says no, nothing of the section is read.
    """

    of: type[object]
    wanted: Callable[[Mapping[str, Any]], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """
    A field with one value of a settings type for each app.

    Attributes:
        file: The setting that names a TOML file of several; without it there is one app, in the environment.
        of: One app's settings. Its field ``name`` is filled with the app's name in the file.
        check: Returns a line for everything in which apps contradict each other.
    """

    file: Setting
    of: type[object]
    check: Callable[[Sequence[Any]], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """
    A field that is read from a file, and ``None`` without one.

    Attributes:
        file: The setting that names the file.
        read: Returns what is in the file at a path; raises `ConfigError` with a line for each problem.
    """

    file: Setting
    read: Callable[[str], object]


Member = Setting | Section | Several | Read


def section(of: type[T], *, wanted: Callable[[Mapping[str, Any]], bool] | None = None) -> T:
    """Declare a field that is itself a settings type, shared by processes; see `Section`."""
    return field(default_factory=of, metadata={_MEMBER: Section(of=of, wanted=wanted)})


def several(file: Setting, of: type[T], *, check: Callable[[Sequence[T]], Iterator[str]]) -> tuple[T, ...]:
    """Declare a field that has a value for each app; see `Several`."""
    return cast("tuple[T, ...]", field(metadata={_MEMBER: Several(file=file, of=of, check=check)}))


def read_from(file: Setting, read: Callable[[str], T]) -> T | None:
    """Declare a field that is read from a file, and ``None`` when the setting is absent; see `Read`."""
    return cast("T | None", field(default=None, metadata={_MEMBER: Read(file=file, read=read)}))


def members(of: type[object]) -> Iterator[tuple[str, Member]]:
    """Return the fields of a settings type that are declared here, in order, each with its declaration."""
    for member in fields(cast("Any", of)):
        if _MEMBER in member.metadata:
            yield member.name, member.metadata[_MEMBER]


def declared(of: type[object]) -> Iterator[Setting]:
    """Return every setting of a settings type, sections and apps included, in order."""
    for _, member in members(of):
        match member:
            case Setting():
                yield member
            case Section():
                yield from declared(member.of)
            case Read():
                yield member.file
            case Several():
                yield member.file
                yield from declared(member.of)
            case _ as unreachable:
                assert_never(unreachable)


def mounted_at(name: str) -> str:
    """Return an example of where a setting's file may be."""
    return f"/run/secrets/{name.lower()}"


def _aliases(name: str, more: Sequence[str]) -> tuple[str, ...]:
    # The platform is called Feishu in China and Lark elsewhere; its samples use either word, or none.
    feishu = (name.replace("LARK_", "FEISHU_", 1),) if name.startswith("LARK_") else ()
    return (*feishu, *more)
