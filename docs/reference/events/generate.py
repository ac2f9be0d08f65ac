# ruff: noqa: INP001  a script beside what it writes, no package
"""Write the contract of the records into this folder: ``.venv/bin/python docs/reference/events/generate.py``."""

import json
from pathlib import Path
from typing import Any

from shared.core.schema import schemas
from shared.eventlog.asyncapi import asyncapi

HERE = Path(__file__).parent


def _write(name: str, document: dict[str, Any]) -> None:
    (HERE / name).write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


for name, schema in schemas().items():
    _write(f"{name}.schema.json", schema)
_write("asyncapi.json", asyncapi())
