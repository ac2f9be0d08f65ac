"""`cardwire topics create` says what it did."""

from pathlib import Path

import pytest

from tests.support.commands import environment, run

pytestmark = pytest.mark.slow


def test_what_was_made_and_what_was_there_are_told_apart(tmp_path: Path) -> None:
    """A second time, or a misspelt prefix, shows."""
    env = environment(tmp_path, CARDWIRE_LOG=f"sqlite:///{tmp_path}/topics/log.db")
    told = [run("topics", "create", env=env, cwd=tmp_path).stdout.splitlines() for _ in range(2)]
    assert [{"created"}, {"there"}] == [{line.rpartition(": ")[2] for line in lines} for lines in told]
