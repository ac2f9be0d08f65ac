"""Processes that run for months load what they use: a library's ornaments are megabytes of each of them."""

import importlib
import sys


def load_structlog() -> None:
    """
    Load structlog without rich, which it takes along wherever it is installed; 5 MB, and a tenth of a second at start.

    Rich would draw tracebacks; ours are told line by line (see `shared.observability.redact`). It can be loaded later.
    """
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # how a module is said not to be there
        try:
            importlib.import_module("structlog")
        finally:
            del sys.modules["rich"]
