"""What says ``(pure)`` of itself is: the contract of imports lists it; it neither waits, prints nor asks a clock."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cardwire", "gateway", "worker", "simulator", "shared")
WHOLE = ("shared.core", "shared.feishu")
"""Packages that have a contract of their own, in which every module is pure."""

CONTRACT = "What says (pure) of itself is"
EFFECTS = {"open", "print", "input", "exec", "eval"}
CLOCKS = {"now", "utcnow", "today"}


def names_of(file: Path) -> str:
    """Return a file's module."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def pure_files() -> Iterator[Path]:
    """Yield the files whose docstring says so."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            if "(pure" in (ast.get_docstring(ast.parse(file.read_text())) or ""):
                yield file


def impurities(tree: ast.AST) -> Iterator[str]:
    """Yield what a module does that a pure one does not."""
    for node in ast.walk(tree):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"waits (line {node.lineno})"
            case ast.Call(func=ast.Name(id=name)) if name in EFFECTS:
                yield f"calls {name} (line {node.lineno})"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name)) if name in CLOCKS:
                yield f"reads a clock (line {node.lineno})"
            case _:
                pass


FILES = list(pure_files())


def test_the_contract_lists_what_says_so_of_itself() -> None:
    """A word in a docstring that nobody checks is a hope."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["name"].startswith(CONTRACT))
    said = [name for name in map(names_of, FILES) if not name.startswith(WHOLE)]
    assert sorted(said) == sorted(contract["source_modules"])


@pytest.mark.parametrize("file", FILES, ids=names_of)
def test_a_pure_module_neither_waits_nor_writes_nor_reads_a_clock(file: Path) -> None:
    """What no import gives away."""
    assert [] == list(impurities(ast.parse(file.read_text())))


@pytest.mark.parametrize(
    "code", ["async def f(): ...", "print('x')", "open('x')", "datetime.now(UTC)", "def f():\n    return date.today()"]
)
def test_what_is_not_pure_is_noticed(code: str) -> None:
    """Or the test above would watch nothing."""
    assert 1 == len(list(impurities(ast.parse(code))))
