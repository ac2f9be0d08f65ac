"""The documents and the repository: what is named exists, what is linked is there, what is promised is attacked."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cardwire.cli.commands import cli
from shared.app.handler import HANDLER_S
from tests.chaos.rules import RULES
from tests.support.documents import ROOT
from tests.support.retention import LEDGER_ROWS
from worker.deciding.suspension import MISSES, RECENT
from worker.ledger.tables import METADATA

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]
PACKAGES = ("cardwire", "gateway", "worker", "shared", "simulator")
PATH = re.compile(
    rf"(?:{'|'.join((*PACKAGES, 'tests', 'docs', 'examples', 'bench', 'requirements', 'deploy'))})(?:/[\w.-]+)+/?"
)
README, IN_CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"
TESTS = re.compile(r"^ *(?:async )?def test_|^Test\w+ = ", re.MULTILINE)
CHAOS = "tests/chaos/test_chaos.py"

in_every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(document: Path) -> str:
    """Return a document's text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def spans(document: Path) -> list[str]:
    """Return what stands in single backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(document))


def anchors(document: Path) -> set[str]:
    """Return the names by which a document's headings are linked."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    """Yield the relative links that lead nowhere."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                yield link


def guarantees(document: Path = README) -> dict[str, list[str]]:
    """Return each row of a README's table of guarantees, by its number, as its other cells."""
    rows = re.findall(r"^\| (G\d+) \| (.+) \|$", document.read_text(), re.MULTILINE)
    return {number: rest.split(" | ") for number, rest in rows}


def blocks(document: Path) -> list[str]:
    """Return a document's blocks of code."""
    return re.findall(r"^```.*?^```$", document.read_text(), re.MULTILINE | re.DOTALL)


def sections(document: Path) -> list[tuple[str, int, list[str]]]:
    """Return the level of each heading, how many rows of tables stand below it, and where its links lead."""
    parts = re.split(r"^(#+) .+$", prose(document), flags=re.MULTILINE)[1:]
    return [
        (level, len(re.findall(r"^\| ", text, re.MULTILINE)), sorted(re.findall(r"\]\(([^)\s]+)\)", text)))
        for level, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def attackers(cells: list[str]) -> list[str]:
    """Return the files that a row of the table says attack its promise."""
    return re.findall(r"\]\((tests/[^)]+)\)", cells[-1])


def facts(cells: list[str]) -> list[str]:
    """Return the names and the numbers in a row of the table, which no translation changes."""
    return sorted(re.findall(r"`[^`]+`|\d+(?:[.,]\d+)*", " ".join(cells[:-1])))


@in_every_document
def test_a_path_that_a_document_names_exists(document: Path) -> None:
    """Whoever reads a file's name can open it."""
    assert [] == [span for span in spans(document) if PATH.fullmatch(span) and not (ROOT / span).exists()]


@in_every_document
def test_a_documents_links_lead_somewhere(document: Path) -> None:
    """Every relative link names a file that is there, and a heading in it."""
    assert [] == list(broken_links(document))


def test_a_module_that_the_architecture_names_exists() -> None:
    """Also where only its file's name is given."""
    modules = {file.name for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    named = {span for span in spans(ARCHITECTURE) if re.fullmatch(r"\w+\.py", span)}
    assert named
    assert set() == named - modules


def test_the_architectures_diagram_names_modules_that_exist() -> None:
    """Stage by stage, in the room that it shows."""
    drawn = re.findall(r"^ +(deciding|performing)/ +\d +(.+)$", ARCHITECTURE.read_text(), re.MULTILINE)
    assert ["deciding", "performing"] == [room for room, _ in drawn]
    named = [ROOT / "worker" / room / f"{stage}.py" for room, stages in drawn for stage in stages.split(" → ")]
    assert [] == [path for path in named if not path.exists()]


@in_every_document
def test_a_command_that_a_document_names_exists(document: Path) -> None:
    """Nobody is sent to a command that is not there."""
    commands = getattr(typer.main.get_command(cli), "commands", {})
    named = {match[1] for span in spans(document) if (match := re.match(r"cardwire ([a-z]+)", span))}
    assert set() == named - set(commands)


def test_every_document_is_in_the_index() -> None:
    """A document that nothing leads to is not read."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+)\)", prose(index))}
    missing = {document for document in (ROOT / "docs").rglob("*.md") if document.parent.name != "adr"} - linked
    assert {index} == missing


def test_every_decision_is_in_its_index() -> None:
    """By number, each once."""
    folder = ROOT / "docs" / "adr"
    linked = re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text())
    assert sorted(path.name for path in folder.glob("[0-9]*.md")) == linked


def test_every_promise_says_what_is_not_promised_and_who_attacks_it() -> None:
    """Four columns, none of them empty."""
    rows = guarantees()
    assert [f"G{number}" for number in range(1, 12)] == list(rows)
    assert [] == [number for number, cells in rows.items() if [True] * 3 != [bool(cell.strip()) for cell in cells]]


@pytest.mark.parametrize("number", list(guarantees()))
def test_whoever_attacks_a_promise_is_a_file_of_tests(number: str) -> None:
    """It exists, and there are tests in it."""
    named = attackers(guarantees()[number])
    assert named
    assert [] == [path for path in named if not TESTS.search((ROOT / path).read_text())]


def test_the_chinese_readme_has_what_the_english_one_has() -> None:
    """The same code; the same headings with as many rows and the same links below them; each leads to the other."""
    other_page = {"README.md": "README.zh-CN.md", "README.zh-CN.md": "README.md"}
    in_english = sections(README)
    in_chinese = [
        (level, rows, sorted(other_page.get(link, link) for link in links))
        for level, rows, links in sections(IN_CHINESE)
    ]
    assert blocks(README) == blocks(IN_CHINESE)
    assert in_english == in_chinese
    assert "README.zh-CN.md" in in_english[0][2]


def test_the_chinese_readme_makes_the_same_promises() -> None:
    """Row by row, with the same names, numbers and attackers."""
    english, chinese = guarantees(), guarantees(IN_CHINESE)
    assert list(english) == list(chinese)
    assert [] == [number for number, cells in chinese.items() if [True] * 3 != [bool(cell.strip()) for cell in cells]]
    for number, cells in english.items():
        assert (number, facts(cells), attackers(cells)) == (number, facts(chinese[number]), attackers(chinese[number]))


def test_promises_attacked_by_chaos_are_those_that_its_checker_judges() -> None:
    """No row claims a rule that the checker does not have, and none keeps one to itself."""
    judged = {rule.guarantee for rule in RULES} - {""}
    assert judged == {number for number, cells in guarantees().items() if CHAOS in attackers(cells)}


def test_every_table_of_the_ledger_says_how_long_it_is_kept() -> None:
    """A store that nobody thought of would grow for ever."""
    told = {table for table, _, _ in LEDGER_ROWS}
    assert set() == {table.name for table in METADATA.sorted_tables} - told


def test_how_long_others_wait_behind_a_handler_that_hangs_is_told() -> None:
    """With the numbers of the code: for each miss, in a row, within a minute."""
    waits = {f"{times * HANDLER_S:.0f} s" for times in (1, MISSES, RECENT)}
    how_to = (ROOT / "docs" / "howto" / "write-handlers.md").read_text()
    for told in (how_to, *(" ".join(guarantees(readme)["G9"]) for readme in (README, IN_CHINESE))):
        assert set() == {wait for wait in waits if wait not in told}
