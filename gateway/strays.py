"""Requests for paths that the gateway does not have: a console with a typing error would never be found out."""

from collections.abc import Collection
from typing import Final

import structlog

from gateway.apps import SHORT_PATHS
from shared.clock import Clock
from shared.observability.metrics import PATHS_UNKNOWN, Metrics

EVERY_S: Final = 10.0
"""How often one is told of: on a public address there are many that nobody here has to mend."""

MAX_PATH: Final = 100
"""Characters of a path that are told."""

log = structlog.get_logger("cardwire.gateway")


class Strays:
    """
    Counts them, and tells of one once in a while.

    Args:
        paths: Those that there are.
        metrics: Where they are counted.
    """

    def __init__(self, paths: Collection[str], *, clock: Clock, metrics: Metrics | None = None) -> None:
        self._paths, self._clock, self._metrics = paths, clock, metrics
        self._told_at = float("-inf")

    def seen(self, path: str) -> None:
        """Take note of a request."""
        if self._metrics is not None:
            self._metrics.count(PATHS_UNKNOWN)
        if path in SHORT_PATHS:
            log.warning("path_without_app", path=path, hint="several apps have /webhook/NAME/card each")
            return
        now = self._clock.monotonic()
        if now - self._told_at >= EVERY_S:
            self._told_at = now
            log.warning("path_unknown", path=path[:MAX_PATH], hint=f"expected one of {', '.join(self._paths)}")
