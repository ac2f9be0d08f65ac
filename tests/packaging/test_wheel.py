"""What is in the wheel is all there is: nothing works only from the checkout."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = ("cardwire", "gateway", "worker", "shared", "simulator")


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built as a release is built."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    _run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("cardwire-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Return the Python of a new environment that holds the wheel and sees the third parties of this one.

    The path line names a folder, whose own path files are not read: the checkout stays invisible.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel, cwd=folder)
    (site / "third_parties.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Type markers, migrations and pages travel with the code."""
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert ours == packed
    assert {f"{package}/py.typed" for package in PACKAGES} <= packed


def test_the_packages_are_imported_from_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    """The environment proves something only if the checkout is out of sight."""
    program = f"import {', '.join(PACKAGES)}; print(*(p.__file__ for p in ({', '.join(PACKAGES)})))"
    folders = {Path(file).parents[1] for file in _run(installed, "-c", program, cwd=tmp_path).split()}
    assert [installed.parents[1]] == [folder.parents[2] for folder in folders]


def test_the_command_line_runs_from_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    """The console script finds everything that its commands import."""
    command = installed.parent / "cardwire"
    assert "gateway" in _run(command, "--help", cwd=tmp_path)


def test_the_demo_plays_from_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    """A newcomer who has only the package sees a click change a card."""
    assert "→ 跟进中" in _run(installed.parent / "cardwire", "demo", "--once", cwd=tmp_path)


def test_the_ledger_migrations_are_found_in_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    """`cardwire db upgrade` needs its migrations where there is no checkout."""
    program = "import worker.ledger; print(worker.ledger.__file__)"
    ledger = Path(_run(installed, "-c", program, cwd=tmp_path).strip()).parent
    assert ledger.is_relative_to(installed.parents[1])
    assert list((ledger / "migrations" / "versions").glob("*.py"))
