import subprocess
import sys
from collections.abc import Callable
from typing import Any

from shared.app.handler import code_digest


def _compiled(source: str) -> Callable[..., Any]:
    scope: dict[str, Any] = {}
    exec(source, scope)  # noqa: S102 -- code without a source file is the point
    return scope["handler"]  # type: ignore[no-any-return]


def test_code_without_a_source_file_has_a_digest_of_its_own() -> None:
    """What it does counts: constants, names, instructions, nested functions."""
    sources = [
        "def handler(click, card): return [1]",
        "def handler(click, card): return [2]",
        "def handler(click, card): return click in {'a', 'b'}",
        "def handler(click, card): return click in {'a', 'c'}",
        "def handler(click, card): return lambda: 1",
        "def handler(click, card): return lambda: 2",
    ]
    assert len(sources) == len({code_digest(_compiled(source)) for source in sources})


def test_the_same_code_has_the_same_digest_in_another_process() -> None:
    """Whatever order a set takes there."""
    source = "def handler(click, card): return click in {'a', 'b', 'c', 'd'}, lambda: 1"
    program = (
        "from shared.app.handler import code_digest; scope = {};"
        f"exec({source!r}, scope); print(code_digest(scope['handler']))"
    )
    digests = {
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
        for _ in range(2)
    }
    assert {code_digest(_compiled(source))} == digests
