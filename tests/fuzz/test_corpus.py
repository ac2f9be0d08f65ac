"""Everything that the fuzzer began with, found worth keeping or once broke something on, without the fuzzer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.starts import starts
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def kept() -> Iterator[object]:
    """Yield the inputs of the corpus, each by target and name."""
    for file in sorted(CORPUS.glob("*/*")):
        yield pytest.param(file.parent.name, file.read_bytes(), id=f"{file.parent.name}/{file.name}")


@pytest.mark.parametrize(("target", "data"), [*kept()])
def test_what_is_kept_breaks_nothing(target: str, data: bytes) -> None:
    """A crash that was mended stays mended."""
    TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_fuzzer_begins_with_breaks_nothing(target: str) -> None:
    """The platform's own bytes, and the oddities that we know of."""
    given = [data for name, data in starts() if name == target]
    assert given
    for data in given:
        TARGETS[target](data)


def test_each_folder_of_the_corpus_has_its_target() -> None:
    """Or nobody would replay it."""
    assert {folder.name for folder in CORPUS.iterdir()} <= set(TARGETS)
