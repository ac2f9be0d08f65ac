"""
A gateway as ``cardwire gateway`` runs it, but whose spill lies on a disk that is full soon, or slow.

``python -m tests.chaos.matrix.gateway [--max-pages N] [--commit-ms MS] [--parent PID]``
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial

from cardwire.cli import process
from cardwire.cli.processes import ended, ready
from gateway.app import serve
from gateway.running import RunningGateway
from gateway.settings import GatewaySettings
from shared.app.load import load_apps
from shared.eventlog.sqlite.file import Disk
from shared.observability import configure_logs


def main() -> None:
    """Run it until it is told to stop."""
    options = _options()
    settings = GatewaySettings.load(os.environ)
    configure_logs(settings.observability.level, settings.observability.format)

    async def announce(running: RunningGateway) -> None:
        ready("gateway", callbacks=running.url, admin=running.admin_url)

    delay: Callable[[], None] | None = partial(time.sleep, options.commit_ms / 1000) if options.commit_ms else None
    disk = Disk(max_pages=options.max_pages, before_commit=delay)
    serving = serve(settings, load_apps(settings.apps), spill_disk=disk)
    process.run(process.serve(serving, announce=announce, ended=ended, parent=options.parent), fast=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-pages", type=int, help="no file of the spill grows beyond so many pages of 4 KiB")
    parser.add_argument("--commit-ms", type=float, default=0.0, help="so much longer takes each commit")
    parser.add_argument("--parent", type=int, help="end with this process")
    return parser.parse_args()


if __name__ == "__main__":
    main()
