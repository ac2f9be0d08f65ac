"""
Whether the packages that Python finds are our own.

Ours have plain names (`shared`, `gateway`, `worker`), and a folder of the same name that comes earlier on the path
takes their place. That is told in one line, instead of as an import that fails somewhere inside.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGES: Final = ("shared", "gateway", "worker", "simulator")


def shadowed(packages: tuple[str, ...] = PACKAGES) -> list[str]:
    """Return a line for each package that is missing, or is found elsewhere than beside this one."""
    return list(_problems(packages))


def _problems(packages: tuple[str, ...]) -> Iterator[str]:
    ours = Path(__file__).resolve().parents[1]
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None:
            yield f"the package {package!r} is missing: install Cardwire again, in an environment of its own"
        elif _folder(spec.origin) != ours / package:
            found = spec.origin or next(iter(spec.submodule_search_locations or ()), "somewhere")
            yield (
                f"the package {package!r} is taken by {found}: give Cardwire an environment of its own, rename that "
                "package, or take its folder out of PYTHONPATH"
            )


def _folder(origin: str | None) -> Path | None:
    return None if origin is None else Path(origin).resolve().parent
