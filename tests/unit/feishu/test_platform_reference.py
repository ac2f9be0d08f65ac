"""docs/reference/platform.md and the code that cites it say the same."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.feishu.codes import CODES, SECTIONS, Source

ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "docs" / "reference" / "platform.md").read_text()
CITATION = re.compile(r'platform\.md((?:[\s,#:]|\band\b|"[^"\n]{3,60}")*)')
PACKAGES = ("cardwire", "gateway", "worker", "shared", "simulator", "docs/adr")


def _sections() -> dict[str, str]:
    parts = re.split(r"^#{2,4} (.+)$", REFERENCE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _citations() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.*")):
            if file.suffix in {".py", ".md"}:
                for cited in CITATION.findall(file.read_text()):
                    yield from ((str(file.relative_to(ROOT)), name) for name in re.findall(r'"([^"]+)"', cited))


def test_every_section_that_code_cites_exists() -> None:
    """A source that cannot be found is no source."""
    headings = tuple(_sections())
    assert [] == [cited for cited in _citations() if not any(heading.startswith(cited[1]) for heading in headings)]


def test_code_does_cite_sections() -> None:
    """Or the test above would watch nothing."""
    assert 10 < len(list(_citations()))


@pytest.mark.parametrize("source", list(SECTIONS))
def test_a_sections_table_of_codes_is_the_codes(source: Source) -> None:
    """Documented and implemented verdicts cannot drift apart."""
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", _sections()[SECTIONS[source]], re.MULTILINE)
    expected = {(str(code), row.verdict, row.meaning) for code, row in CODES.items() if row.source == source}
    assert expected == set(rows)


def test_every_section_with_a_rule_names_its_source() -> None:
    """An official document by title and address."""
    sourced = [
        name for name, text in _sections().items() if re.search(r"\[[^]]+\]\(https://open\.feishu\.cn/document/", text)
    ]
    derived = {
        "Toasts",
        "Client errors",
        "Tokens",
        "Messages",
        "Chats",
        "Error codes",
    }  # of the section above, or below
    assert set(_sections()) == {*sourced, *derived}
