"""What the documents show is executed, and what they promise is looked up in the code."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cardwire.cli.commands import cli
from shared.feishu.answer import not_recorded
from tests.support.documents import BAD_INPUT, ROOT, is_documented

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "docs" / "quickstart.md",
    ROOT / "docs" / "howto" / "write-handlers.md",
    ROOT / "docs" / "howto" / "from-the-sdk.md",
]

in_every_document = pytest.mark.parametrize(
    "document",
    [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("examples/*/README.md"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)

# A block, and the file that the sentence before it says to put it into.
BLOCK = re.compile(r"(?:into `(\w+\.py)`:\n\n)?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _files(document: Path) -> Iterator[tuple[str, str]]:
    for number, (name, code) in enumerate(BLOCK.findall(document.read_text()), start=1):
        yield name or f"block_{number}.py", code


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_code_in_a_document_runs(document: Path, tmp_path: Path) -> None:
    """Every Python block imports, and every test in one passes."""
    files = dict(_files(document))
    assert files
    for name, code in files.items():
        (tmp_path / name).write_text(code)
    loading = "\n".join(f"def test_{Path(name).stem}(): import {Path(name).stem}" for name in files)
    (tmp_path / "test_every_block.py").write_text(loading)
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "python_files=*.py", str(tmp_path))
    ran = subprocess.run(pytest_, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    """Commands, their options, and nothing that is not there."""
    rows = re.findall(r"^\| `cardwire ([^`]+)` \|", (ROOT / "docs/reference/command-line.md").read_text(), re.MULTILINE)
    described = {_name(row): set(re.findall(r"--[a-z-]+", row)) for row in rows}
    described.pop("")  # --version
    assert described == dict(_commands(typer.main.get_command(cli)))


def _name(row: str) -> str:
    return " ".join(re.findall(r"^(?:(?! ?[\[-])[a-z ])+", row)).strip()


def _commands(command: object, name: str = "") -> Iterator[tuple[str, set[str]]]:
    for each, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{name} {each}".strip())
    if not hasattr(command, "commands"):
        visible = [parameter for parameter in getattr(command, "params", []) if not getattr(parameter, "hidden", False)]
        yield name, {option for parameter in visible for option in parameter.opts if option.startswith("--")}


@in_every_document
def test_the_shell_in_a_document_can_be_read_by_a_shell(document: Path) -> None:
    """Quotes, here-documents and all."""
    ran = subprocess.run(["bash", "-n"], input="".join(_shell(document)), check=False, capture_output=True, text=True)
    assert (0, "") == (ran.returncode, ran.stderr)


@in_every_document
def test_a_command_in_a_shell_block_exists_with_its_options(document: Path) -> None:
    """Whoever copies the line gets no error for a command or an option."""
    known = dict(_commands(typer.main.get_command(cli)))
    typed = [line for block in _shell(document) for line in re.findall(r"^(?:\$ )?cardwire (.+)$", block, re.MULTILINE)]
    assert [] == [line for line in typed if not _is_known(line.split("#")[0], known)]


def _is_known(typed: str, known: dict[str, set[str]]) -> bool:
    options = set(re.findall(r"--[a-z-]+", typed))
    return options <= known[_name(typed)] if _name(typed) in known else typed.strip() == "--version"


def _shell(document: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def test_a_mistyped_command_is_found_out() -> None:
    """The comparison can fail."""
    known = dict(_commands(typer.main.get_command(cli)))
    assert _is_known("demo --once", known)
    assert [] == [line for line in ("demmo", "demo --onec", "topics", "topics creat") if _is_known(line, known)]


def test_a_line_that_no_document_promises_is_found_out() -> None:
    """The comparison of lines with the documents can fail."""
    assert is_documented("LARK_APP_ID is missing: expected the app's id, for example LARK_APP_ID=cli_a1b2c3d4e5f6")
    assert not is_documented("LARK_APP_ID is missing")
    assert not is_documented("something is wrong")


def test_the_documents_quote_what_a_person_reads_when_the_log_is_away() -> None:
    """The toast's own words."""
    toast = not_recorded().toast
    assert toast is not None
    assert toast.content in BAD_INPUT.read_text()
