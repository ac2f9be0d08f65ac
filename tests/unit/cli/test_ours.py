import os
import subprocess
import sys
from pathlib import Path

import pytest

import cardwire
from cardwire.ours import shadowed
from tests.support.commands import environment

ROOT = Path(cardwire.__file__).parents[1]


def test_our_own_packages_are_ours() -> None:
    """Installed together, they lie side by side."""
    assert [] == shadowed()


@pytest.mark.parametrize("package", ["shared", "worker"])
def test_a_shadowed_package_is_refused_in_one_line(package: str, tmp_path: Path) -> None:
    """A folder of the same name earlier on the path is named, and what to do about it."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    ran = subprocess.run(
        [sys.executable, "-m", "cardwire", "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert 2 == ran.returncode
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"cardwire: the package {package!r} is taken by {tmp_path / package}")
    assert "PYTHONPATH" in line


def test_the_public_names_say_that_shared_is_shadowed(tmp_path: Path) -> None:
    """A handlers module that is run by itself gets the same line."""
    (tmp_path / "shared.py").touch()
    ran = subprocess.run(
        [sys.executable, "-c", "from cardwire import App"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert f"ImportError: the package 'shared' is taken by {tmp_path / 'shared.py'}" in ran.stderr


def test_the_public_names_load_no_process_and_nothing_heavy() -> None:
    """Loading a handlers module in the gateway costs neither time nor memory."""
    program = (
        f"import sys; from cardwire import {', '.join(cardwire.__all__)}; import cardwire.testing; print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    heavy = {"gateway", "worker", "simulator", "cardwire.cli", "sqlalchemy", "typer", "rich", "aiohttp", "aiokafka"}
    assert set() == heavy & set(ran.stdout.split())


def test_a_misspelt_public_name_is_an_error_of_its_own() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="module 'cardwire' has no attribute 'Ap'"):
        cardwire.Ap  # type: ignore[attr-defined]  # noqa: B018


def test_a_command_is_of_the_tree_that_its_test_is_of(tmp_path: Path) -> None:
    """Also where another copy is installed: tests of one tree say nothing about another."""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", "import cardwire; print(cardwire.__file__)"],
        cwd=tmp_path,
        env=environment(tmp_path),
        check=True,
        capture_output=True,
        text=True,
    )
    assert cardwire.__file__ == ran.stdout.strip()
