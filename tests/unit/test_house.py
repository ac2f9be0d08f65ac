"""The rules that the repository keeps about itself."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("cardwire", "gateway", "worker", "shared", "simulator")
LOCKS = ("runtime.txt", "build.txt", "dev.txt")
NOT_OURS = {".git", ".venv", ".chaos", ".bench", ".hypothesis", "node_modules", "build", "dist", "__pycache__"}

# Written in pieces, so that this file does not name what it forbids.
REGISTRIES = re.compile(r"\b(?:{}\.org|{}osted\.org|repo1?\.maven|{}\.npmjs|(?:deb|ftp)\.{}\.org)".format(
    "py" + "pi", "python" + "h", "registry", "deb" + "ian",
))  # fmt: skip
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)


def _own_texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT)
        if (
            NOT_OURS.isdisjoint(inside.parts)
            and not any(p.endswith("_cache") or p.startswith(".coverage") for p in inside.parts)
            and path.is_file()
        ):
            yield inside, path.read_text(errors="ignore")


def _pins(lock: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / "requirements" / lock).read_text()))


def test_no_file_names_a_package_registry() -> None:
    """Which package index is asked is each machine's own business."""
    assert [] == [str(path) for path, text in _own_texts() if REGISTRIES.search(text)]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_no_address(lock: str) -> None:
    """A lock says what is installed, never from where."""
    assert [] == re.findall(r".*(?:https?:|--index|--find-links|file:).*", (ROOT / "requirements" / lock).read_text())


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_version_and_hashes(lock: str) -> None:
    """Nothing is installed that was not seen when the lock was made."""
    text = (ROOT / "requirements" / lock).read_text()
    entries = [entry for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE) if entry.strip()]
    assert [] == [entry for entry in entries if not PINNED.match(entry) or "--hash=sha256:" not in entry]


@pytest.mark.parametrize("lock", ["runtime.txt", "build.txt"])
def test_the_smaller_locks_agree_with_the_largest(lock: str) -> None:
    """What is tested is what runs."""
    assert _pins(lock).items() <= _pins("dev.txt").items()


def test_the_vendor_sdk_is_no_run_time_dependency() -> None:
    """Importing it takes seconds and much memory; it is only tested against."""
    assert "lark-oapi" in _pins("dev.txt")
    assert "lark-oapi" not in _pins("runtime.txt")


def test_every_ignored_lint_rule_has_a_reason() -> None:
    """A rule is switched off for a reason that the next reader can judge."""
    lint = re.findall(r"\[tool\.ruff\.lint[^\n]*\n.*?(?=\n\[)", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    rules = re.findall(r'^ {4}"[A-Z]+\d*",.*$', "\n".join(lint), re.MULTILINE)
    assert len(rules) > 1
    assert [] == [rule for rule in rules if not re.search(r"# \S+ \S+", rule)]


def test_every_package_of_the_distribution_is_typed() -> None:
    """Users' type checkers may read our annotations."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert list(PACKAGES) == wheel["packages"]
    assert [] == [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()]


def test_importing_the_public_names_loads_no_process_and_nothing_heavy() -> None:
    """The gateway loads users' handlers without a database layer, a command line or the worker."""
    heavy = {"gateway", "worker", "simulator", "sqlalchemy", "alembic", "typer", "rich", "aiohttp", "aiokafka"}
    program = "import sys, cardwire; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert set() == heavy & set(loaded.split())


def test_the_changelog_tells_of_this_version_or_of_what_comes_next() -> None:
    """Users learn what changed from the changelog, not from the commits."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in {"Unreleased", version}


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_a_decision_record_says_what_would_change_our_mind(record: Path) -> None:
    """A decision is recorded with its status, problem, options and the facts that would overturn it."""
    headings = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
    assert ["Status", "Problem", "Options", "Decision", "What would change our mind"] == headings


def test_make_alone_lists_every_target() -> None:
    """A newcomer needs to remember one word."""
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    promised = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert promised == re.findall(r"^  make (\S+) +\S", listed, re.MULTILINE)


@pytest.mark.parametrize("python", ["", "/nowhere/python3", "false"])
def test_make_refuses_an_unsuitable_python_in_one_line(python: str, tmp_path: Path) -> None:
    """Who has no suitable Python reads what to do, not a traceback."""
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    command = ["make", ".venv/bin/python", f"PYTHON={python}"]
    made = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert made.returncode != 0
    assert "Cardwire needs Python 3.11 or newer with its venv module: install it" in made.stderr.splitlines()[0]


@pytest.mark.slow
class TestSkips:
    """What tests/conftest.py does with tests that cannot run here."""

    SKIPPING = """
        import pytest

        @pytest.fixture
        def broker():
            pytest.skip("Apache Kafka: install Java 17 and Maven")

        def test_first(broker): ...
        def test_second(broker): ...

        @pytest.mark.xfail(reason="known gap", strict=True)
        def test_gap():
            assert False
    """

    @pytest.fixture
    def suite(self, pytester: pytest.Pytester) -> pytest.Pytester:
        """Yield a folder with our conftest and two tests that lack a service."""
        pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
        pytester.makepyfile(self.SKIPPING)
        return pytester

    def test_the_summary_says_what_was_skipped_and_what_to_install(
        self, suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Reasons are counted and listed once each at the end."""
        monkeypatch.delenv("CARDWIRE_REQUIRE_SERVICES", raising=False)
        result = suite.runpytest_subprocess()
        result.assert_outcomes(skipped=2, xfailed=1)
        result.stdout.fnmatch_lines(["2 tests: Apache Kafka: install Java 17 and Maven"])

    def test_where_services_are_required_a_skip_is_a_failure(
        self, suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """CI cannot be green by leaving tests out; an expected failure is no skip."""
        monkeypatch.setenv("CARDWIRE_REQUIRE_SERVICES", "1")
        result = suite.runpytest_subprocess()
        result.assert_outcomes(errors=2, xfailed=1)
        result.stdout.fnmatch_lines(["*Nothing may be skipped*Apache Kafka: install Java 17 and Maven*"])

    def test_where_services_are_required_a_skipped_module_is_an_error(
        self, suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Skipping a whole file is no way around it."""
        monkeypatch.setenv("CARDWIRE_REQUIRE_SERVICES", "1")
        suite.makepyfile("import pytest; pytest.skip('PostgreSQL: install postgresql', allow_module_level=True)")
        result = suite.runpytest_subprocess()
        assert result.ret != 0
        result.stdout.fnmatch_lines(["*Nothing may be skipped*PostgreSQL: install postgresql*"])
