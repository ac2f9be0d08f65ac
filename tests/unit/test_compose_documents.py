"""The documents and docker-compose.yml: what a reader types or sets is there, and what is there is told."""

import re
import shlex
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import typer

from cardwire.cli.commands import cli
from cardwire.cli.misspelt import misspelt, settings
from shared.settings import declared
from tests.support.documents import ROOT
from tests.support.reference import PROCESSES

COMPOSE: Final = (ROOT / "docker-compose.yml").read_text()
MORE: Final = (ROOT / "deploy" / "requests.yml").read_text()
DOCUMENTS: Final = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DEPLOY: Final = ROOT / "docs" / "howto" / "deploy.md"

# What Docker Compose itself knows, as far as the documents use it: options, and whether a value follows.
FOR_ALL: Final = {"--profile": True, "--env-file": True, "--progress": True}
COMMANDS: Final[Mapping[str, Mapping[str, bool]]] = {
    "up": {"--wait": False, "--scale": True, "--no-deps": False},
    "down": {"--volumes": False},
    "run": {"--rm": False, "--no-deps": False, "-T": False, "--entrypoint": True, "--user": True},
    "exec": {"-T": False},
    "logs": {"--follow": False, "--no-log-prefix": False},
    "build": {},
    "ps": {},
    "stop": {},
}
OURS: Final = re.compile(r"\b(?:LARK|CARDWIRE|KAFKA|COMPOSE)_[A-Z0-9_]*[A-Z0-9]\b")
OF_THE_TESTS: Final = re.compile(r"CARDWIRE_(?:TEST_\w+|REQUIRE_SERVICES)")


def services() -> set[str]:
    """Return the names of the services."""
    section = re.split(r"^services:$", COMPOSE, flags=re.MULTILINE)[1]
    section = re.split(r"^\S", section, maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"^  ([a-z0-9-]+):$", section, re.MULTILINE))


def profiles() -> set[str]:
    """Return the names of the profiles."""
    return {name.strip() for listed in re.findall(r"profiles: \[(.+)\]", COMPOSE) for name in listed.split(",")}


def variables() -> dict[str, set[str]]:
    """Return the variables that are read, each with its default, or its defaults."""
    found: dict[str, set[str]] = {}
    for name, default in re.findall(r"\$\{(\w+):?-([^}]*)\}", COMPOSE + MORE):
        found.setdefault(name, set()).add(default)
    return found


def lines(document: Path) -> Iterator[list[str]]:
    """Yield the calls of Docker Compose that a document shows, in blocks and between backticks, as words."""
    text = document.read_text()
    for line in re.findall(r"(?:^|`)(docker compose [^`\n]+)", text, re.MULTILINE):
        words = shlex.split(line, comments=True)
        ends = [number for number, word in enumerate(words) if word in {"|", ">", "<", "&&", "2>&1"}]
        yield words[2 : min(ends, default=len(words))]


def problems(words: list[str]) -> Iterator[str]:
    """Yield what is wrong with a call: options, profiles, files, commands and services that do not exist."""
    rest = yield from _options(words, FOR_ALL)
    if not rest:
        yield "no command"
        return
    command, *rest = rest
    if command not in COMMANDS:
        yield f"command {command}"
        return
    rest = yield from _options(rest, COMMANDS[command])
    named = rest[:1] if command in {"run", "exec"} else rest
    yield from (f"service {name}" for name in named if name not in services())
    if rest[:1] == ["cli"]:
        known = getattr(typer.main.get_command(cli), "commands", {})
        yield from (f"cardwire {word}" for word in rest[1:2] if word not in known)


def _options(words: list[str], known: Mapping[str, bool]) -> Generator[str, None, list[str]]:
    """Yield what is wrong with the leading options, and return what follows them."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option not in known:
            yield f"option {option}"
        elif known[option]:
            yield from _value(option, rest.pop(0))
    return rest


def _value(option: str, value: str) -> Iterator[str]:
    match option:
        case "--profile" if value not in profiles():
            yield f"profile {value}"
        case "--scale" if value.split("=", maxsplit=1)[0] not in services():
            yield f"service {value}"
        case "--env-file" if value != ".env" and not (ROOT / value).exists():
            yield f"file {value}"
        case _:
            return


def _told_in_the_table() -> dict[str, str]:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(.+?)` \|", DEPLOY.read_text(), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_call_of_compose_in_a_document_names_what_exists(document: Path) -> None:
    """Whoever copies the line gets no error for a service, a profile, an option or a file."""
    assert [] == [(" ".join(words), problem) for words in lines(document) for problem in problems(words)]


def test_documents_call_compose_and_wrong_calls_are_found_out() -> None:
    """The comparison can fail, in every way that it knows."""
    assert sum(len([*lines(document)]) for document in DOCUMENTS) > 20
    wrong = [
        "--profile nowhere up",
        "up --wai",
        "up --scale works=3",
        "stop works",
        "--env-file x up",
        "run --rm cli clik",
    ]
    assert [] == [call for call in wrong if not [*problems(call.split())]]


def test_every_variable_of_the_compose_file_is_told_with_its_default() -> None:
    """One default each, the one in the table; and no row without a variable."""
    assert {name: {default} for name, default in _told_in_the_table().items()} == variables()


def test_no_variable_of_the_compose_file_is_taken_for_a_misspelt_setting() -> None:
    """Whatever stands in `.env` is in the environment of every container, and no process warns of it."""
    assert [] == [*misspelt(variables(), settings())]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_setting_that_a_document_names_exists(document: Path) -> None:
    """A process reads it, from the environment or a mounted file; or the compose file does; or a test run."""
    read = {name for of in PROCESSES.values() for one in declared(of) for name in (one.name, *one.aliases)}
    known = read | {f"{name}_FILE" for name in read} | variables().keys() | {"COMPOSE_PROFILES", "COMPOSE_FILE"}
    named = set(OURS.findall(document.read_text()))
    assert set() == {name for name in named - known if not OF_THE_TESTS.fullmatch(name)}
