"""How much memory a process has had."""

import subprocess
import sys

import pytest

from worker.memory import peak_bytes

HELD = 200 << 20


def test_it_is_at_least_what_was_held_once() -> None:
    """Also after it was given back."""
    held = b"x" * HELD
    del held
    assert peak_bytes() >= HELD


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts for the program alone")
def test_it_is_not_that_of_whoever_started_the_process() -> None:
    """A child of a large process is as small as it is."""
    held = b"x" * HELD
    asked = "from worker.memory import peak_bytes; print(peak_bytes())"
    ran = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert 1 << 20 < int(ran.stdout) < len(held)
