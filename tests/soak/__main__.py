"""``python -m tests.soak``: ten minutes and more; ``--clicks 20000 --cards 200`` is what the test suite runs."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.chaos.stack import NAMES, stack
from tests.soak.run import Size, Soaked, soak

PATIENCE_S: Final = 3_600.0
WRONG: Final = 20


def main() -> int:
    """Run one soak, print what it came to, and return 1 if anything is wrong."""
    asked = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    asked.add_argument("--clicks", type=int, default=1_000_000)
    asked.add_argument("--cards", type=int, default=10_000)
    asked.add_argument("--kill-every", type=float, default=10.0, help="seconds from one SIGKILL to the next")
    asked.add_argument("--kills", type=int, help="at most so many SIGKILLs")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--stack", choices=NAMES, default="services")
    given = asked.parse_args()
    size = Size(clicks=given.clicks, cards=given.cards, kill_every_s=given.kill_every, kills=given.kills)
    with tempfile.TemporaryDirectory(prefix="cardwire-soak-") as name, stack(given.stack, Path(name)) as on:
        soaked = asyncio.run(soak(size, on, seed=given.seed, folder=Path(name), patience_s=PATIENCE_S))
    sys.stdout.write(f"{told(size, soaked)}\n")
    return 1 if soaked.wrong else 0


def told(size: Size, soaked: Soaked) -> str:
    """Return a soak as lines for people."""
    effects = ", ".join(f"{count:,} {status}" for status, count in sorted(soaked.effects.items()))
    lines = [
        f"clicks    {size.clicks:,} on {size.cards:,} cards, {soaked.records:,} records with repetitions",
        f"appended  in {soaked.appended_s:.0f} s",
        f"decided   {soaked.decided:,} and performed in {soaked.worked_s:.0f} s, {soaked.kills} SIGKILLs",
        f"updates   {effects}",
        f"wrong     {len(soaked.wrong)}",
        *soaked.wrong[:WRONG],
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
