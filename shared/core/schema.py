"""
JSON Schemas of the records, generated from their types.

Published under docs/reference/events for readers in any language. A reader ignores members that it does not know:
the schemas allow them, and later versions only add.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shared.core.codec import RECORD_TYPES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def schemas() -> Mapping[str, dict[str, Any]]:
    """
    Return a JSON Schema for each type of record, by its name (``lark.card.decided.v1``).

    The outcomes of an effect (``lark.card.effect.<status>.v1``) have one shape and one schema,
    ``lark.card.effect.v1``.
    """
    types = {schema_name(ce_type): of for ce_type, of in RECORD_TYPES.items()}
    return {name: _schema(name, of) for name, of in sorted(types.items())}


def schema_name(ce_type: str) -> str:
    """Return the name of the schema that the records of a ``ce_type`` have."""
    return re.sub(r"\.effect\.\w+\.", ".effect.", ce_type)


def _schema(name: str, of: type) -> dict[str, Any]:
    schema = msgspec.json.schema(of)
    for definition in schema["$defs"].values():
        _explain(definition)
    return {"$schema": DIALECT, "$id": f"urn:cardwire:{name}", **schema}


def _explain(definition: dict[str, Any]) -> None:
    """Give every member the sentence that the class' docstring has for it."""
    about, _, attributes = definition.get("description", "").partition("\n\nAttributes:\n")
    if not about:
        return
    definition["description"] = " ".join(about.split())
    properties = definition["properties"]
    for attribute, text in _ATTRIBUTE.findall(attributes):
        # A definition shared with other members keeps its own description; ours stands beside the reference.
        properties[attribute] = {**properties[attribute], "description": " ".join(text.split())}
