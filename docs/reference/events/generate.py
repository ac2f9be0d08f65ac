# ruff: noqa: INP001  a script beside what it writes, no package
"""Write the JSON Schemas of the records into this folder: ``.venv/bin/python docs/reference/events/generate.py``."""

import json
from pathlib import Path

from shared.core.schema import schemas

HERE = Path(__file__).parent

for name, schema in schemas().items():
    (HERE / f"{name}.schema.json").write_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n")
