import subprocess
import sys

SCRIPT = """
import sys
from cardwire.cli.light import load_structlog
load_structlog()
import structlog, gateway.app
print("rich" in sys.modules)
import rich.console
print("rich" in sys.modules)
"""


def test_a_gateway_runs_without_what_draws_tables() -> None:
    """And whoever wants to draw afterwards can."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, timeout=60)
    assert ["False", "True"] == ran.stdout.split()
