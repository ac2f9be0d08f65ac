"""Recorded bytes, with where they come from: see README.md in this folder."""

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
RECORDS: Final = FOLDER / "records"

FEISHU: Final[dict[str, Any]] = json.loads((FOLDER / "feishu_vectors.json").read_text())
"""What the platform's official SDK did, byte for byte."""


def http_callback(name: str) -> dict[str, Any]:
    """Return the recorded callback of that name: headers, body, credentials and what the SDK answered."""
    (found,) = [case for case in FEISHU["http_callbacks"] if case["name"] == name]
    assert isinstance(found, dict)
    return found
