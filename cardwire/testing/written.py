"""Decisions and answers as text that people compare, whoever's they are."""

import difflib
import json
from typing import Any

import msgspec

from shared.core.decision import UNCHANGED, Decision
from shared.core.effects import Effect
from shared.core.errors import HandlerError
from shared.core.events import Answer
from shared.core.json_text import json_value


def written(decided: Decision | HandlerError | None) -> str:
    """Return a decision; its cards as JSON, not as text of JSON."""
    match decided:
        case None:
            return "nothing: no handler matched"
        case HandlerError():
            return f"nothing: {decided}"
        case Decision(effects=effects, state=state):
            kept = {} if state is UNCHANGED else {"state": state}
            whole = {"effects": [_fields(effect) for effect in effects], **kept}
            return json.dumps(whole, ensure_ascii=False, indent=2, sort_keys=True)


def answer_written(answer: Answer | HandlerError) -> str:
    """Return an answer; its cards and its body as JSON, too."""
    if isinstance(answer, HandlerError):
        return f"nothing: {answer}"
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    fields.pop("rule", None)
    custom = fields.get("custom", {})
    for holder, name in ((fields, "card"), (custom, "body")):
        if name in holder:
            holder[name] = json_value(holder[name])
    return json.dumps(fields, ensure_ascii=False, indent=2, sort_keys=True)


def difference(expected: str, actual: str) -> str:
    """Return the lines in which two of these texts differ, with those around them."""
    lines = expected.splitlines(), actual.splitlines()
    return "\n".join(difflib.unified_diff(*lines, "expected", "actual", lineterm="", n=2))


def _fields(effect: Effect) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(effect)
    return {**fields, "card": json_value(fields["card"])} if "card" in fields else fields
