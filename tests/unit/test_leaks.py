"""The search for secrets in all output finds them, wherever they are told."""

from pathlib import Path

import pytest

from tests.support.callbacks import CARD_TOKEN, click, encrypted, signed
from tests.support.planted import FORM, found_in, plant

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import asyncio, logging, subprocess, sys
import pytest

SECRET = "-".join(["planted", "in", "a", "test", "4f1c"])
SAYS = [sys.executable, "-c", f"import sys; sys.stderr.write({SECRET!r})"]


def test_innocent(capsys):
    print("planted nothing")
    assert capsys.readouterr().out
    subprocess.run([sys.executable, "-c", "print('planted nothing')"], check=True, capture_output=True)


def test_prints():
    print(SECRET)


def test_logs():
    logging.getLogger("x").warning("said %s", SECRET)


def test_reads_its_own_capture(capsys):
    print(SECRET)
    assert capsys.readouterr().out


def test_child_at_a_pipe():
    assert subprocess.run(SAYS, check=True, capture_output=True).stderr


def test_child_at_a_pipe_of_the_loop():
    async def main():
        child = await asyncio.create_subprocess_exec(*SAYS, stderr=subprocess.PIPE)
        assert await child.stderr.read()
        await child.wait()

    asyncio.run(main())


def test_child_whose_lines_are_read():
    with subprocess.Popen(SAYS, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr.readline()


def test_child_with_a_file(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        subprocess.run(SAYS, check=True, stderr=file)


@pytest.fixture
def untidy():
    yield
    print(SECRET)


def test_teardown(untidy):
    pass
"""


def test_a_test_fails_in_whose_time_a_secret_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Printed, logged, read back, or said by a child; the report does not repeat it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("CI", raising=False)  # there pytest writes its summary in full, so each line is there twice
    pytester.makepyfile(TESTS)
    ran = pytester.runpytest_subprocess("-p", "tests.support.leaks", "-p", "no:cacheprovider", "--show-capture=no")
    ran.assert_outcomes(passed=2, failed=7, errors=1)
    assert 8 == ran.stdout.str().count("A secret was told")
    assert FORM.search(ran.stdout.str() + ran.stderr.str()) is None


@pytest.mark.parametrize(
    "text",
    [
        "planted-in-a-test-0b9d", CARD_TOKEN, "t-g1044ghJRUIJJ5ELANQ32", "u-0123456789abcdef", "a-0123456789abcdef",
        signed(encrypted(click())).headers["X-Lark-Signature"], encrypted(click()).decode(), plant("0" * 40),
    ],
)  # fmt: skip
def test_what_is_a_secret(text: str) -> None:
    """By its form, or because it was planted."""
    assert found_in(f"before {text} behind")


@pytest.mark.parametrize("text", ["planted", "om_dc13264520392913993dd051dba21dcf", "ou_1", "f" * 64, "a-b c-d"])
def test_what_is_none(text: str) -> None:
    """Ids, digests that sign nothing, and words."""
    assert not found_in(f"before {text} behind")
