"""``python -m tests.compose``: the Dockerfile and the compose file, on whatever engine ``docker`` reaches."""

import argparse
import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.compose.engine import EngineFailed, docker
from tests.compose.stages import OUR_IMAGES, PROOFS, STAGES, Scene, Seen

SHOWN: Final = 20
"""Lines that are printed of what is wrong."""


def main() -> int:
    """Run the stages and return 1 if anything was not as it must be, 2 if there is no engine."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by our own way out, which ends them all
    folder = Path(tempfile.mkdtemp(prefix="cardwire-compose-"))
    try:
        return asyncio.run(_run(options, folder))
    except EngineFailed as failed:
        print(f"compose-test: {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder)


async def _run(options: argparse.Namespace, folder: Path) -> int:
    try:
        await docker("info", "--format", "{{.ServerVersion}}")
        await docker("compose", "version")
    except (EngineFailed, FileNotFoundError):
        print(
            "compose-test: no container engine with `docker compose` answers: start one, or set DOCKER_HOST",
            file=sys.stderr,
        )
        return 2
    print(f"seed        {options.seed} (repeat with --seed {options.seed})")
    scene, wrong = Scene(folder=folder, seed=options.seed, tell=_progress), 0
    try:
        for name in options.stage or PROOFS:
            began = time.monotonic()
            seen = await STAGES[name](scene)
            _told(name, seen, time.monotonic() - began)
            wrong += len(seen.wrong)
    finally:
        await docker("rmi", "--force", *OUR_IMAGES)
    stages = len(options.stage or PROOFS)
    print(f"{stages - bool(wrong)} passed, {int(bool(wrong))} failed" if wrong else f"{stages} passed, 0 failed")
    return 1 if wrong else 0


def _told(name: str, seen: Seen, took_s: float) -> None:
    print(f"\n== {name}, {took_s:.0f} s")
    for line in [*seen.lines, *(f"wrong       {line}" for line in seen.wrong[:SHOWN])]:
        print(line)
    sys.stdout.flush()


def _progress(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}    {line}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.compose", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="repeat an earlier run")
    parser.add_argument(
        "--stage",
        action="append",
        choices=list(STAGES),
        help="this one; may be repeated (all that prove something, unless given)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
