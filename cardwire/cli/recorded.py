"""Moments of recorded stories in words, and as rows of a table (pure)."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from cardwire.cli.texts import time_text
from shared.core.json_diff import ABSENT, Change, text_diff
from shared.core.json_text import JsonText
from worker.history.moments import Moment, What

COLUMNS: Final = ("came", "card", "what", "by", "handler", "result", "version", "effects", "ms")

SHOWN_CHARS: Final = 200
"""How much of one value is shown to people; programs get it whole."""


def in_words(moment: Moment) -> str:
    """Return what happened, for people."""
    return _WORDS[moment.what](moment.facts)


def _requested(facts: Mapping[str, Any]) -> str:
    return f"by {facts.get('caller', 'somebody')}: {', '.join(facts.get('effects', ()))}"


def _returned(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('call', 'a call')} {'was given up' if facts.get('failed') else 'came back'}"


def _answered(facts: Mapping[str, Any]) -> str:
    return "nobody waited for the answer any more" if facts.get("undelivered") else "the answer was delivered"


def _received(facts: Mapping[str, Any]) -> str:
    who = facts.get("open_id")
    shown = facts.get("answered_with")
    told = [
        str(facts.get("event_type") or facts.get("kind")),
        f"by {who}" if who else None,
        facts.get("tag"),
        f"answered by {facts.get('answered_by')} with {' and '.join(shown)}" if shown else None,
    ]
    return ", ".join(one for one in told if one)


def _decided(facts: Mapping[str, Any]) -> str:
    handler, result = facts.get("handler"), facts.get("result")
    effects = [f"{one['kind']} {one['index']}" for one in facts.get("effects", ())]
    notes = [
        facts.get("reason"),
        f"version {facts['version']}" if "version" in facts else None,
        "late" if facts.get("late") else None,
        "its card stands still" if facts.get("parks") else None,
        f"redrive {facts['redrive']}" if "redrive" in facts else None,
        *effects,
        f"{len(facts['requests'])} other cards" if facts.get("requests") else None,
    ]
    return f"{f'{handler}: ' if handler else ''}{result}{_in_brackets(notes)}"


def _outcome(facts: Mapping[str, Any]) -> str:
    retry_at = facts.get("retry_at")
    notes = [
        facts.get("reason"),
        f"code {facts['code']}" if facts.get("code") else None,
        f"HTTP {facts['http_status']}" if not facts.get("code") and facts.get("http_status", 200) >= 300 else None,  # noqa: PLR2004 - as statuses go
        f"log id {facts['log_id']}" if facts.get("log_id") and facts.get("status") != "succeeded" else None,
        f"tried again at {time_text(retry_at)}" if retry_at is not None else None,
        f"uses left {facts['uses_left']}" if "uses_left" in facts else None,
        f"message {facts['sent_message_id']}" if "sent_message_id" in facts else None,
        f"in place of {facts['folded']} more" if facts.get("folded") else None,
    ]
    return (
        f"{facts.get('kind')} {facts.get('index')} of {facts.get('target')}: {facts.get('status')}{_in_brackets(notes)}"
    )


_WORDS: Final[Mapping[What, Callable[[Mapping[str, Any]], str]]] = {
    "received": _received,
    "requested": _requested,
    "returned": _returned,
    "reminded": lambda facts: f"of {facts.get('key')}",
    "answered": _answered,
    "redriven": lambda facts: f"wanted once more, redrive {facts.get('redrive')}",
    "decided": _decided,
    "outcome": _outcome,
}


def _in_brackets(notes: Sequence[str | None]) -> str:
    told = ", ".join(note for note in notes if note)
    return f" ({told})" if told else ""


def changes(moments: Sequence[Moment]) -> Iterator[tuple[Moment, Sequence[Change] | None]]:
    """
    Yield each moment with what it changes of the card that is meant to be shown.

    ``None`` where it changes nothing, or nobody knows the card before it: then it is told whole, with its values.
    """
    before: JsonText | None = None
    for moment in moments:
        if moment.card is None:
            yield moment, None
            continue
        card = JsonText(moment.card)
        yield moment, text_diff(before, card)
        before = card


def change_in_words(change: Change) -> str:
    """Return one change of a card, for people."""
    return f"{change.path or '(the card)'}: {_shown(change.was)} → {_shown(change.now)}"


def change_facts(change: Change) -> Mapping[str, Any]:
    """Return one change of a card, for programs; a side on which there was nothing is left out."""
    sides = {"was": change.was, "now": change.now}
    return {"path": change.path, **{name: value for name, value in sides.items() if value is not ABSENT}}


def value_in_words(name: str, value: Any) -> str:
    """Return a value that a person typed, for people."""
    return f"{name} {_shown(value)}"


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def rows(moments: Sequence[Moment]) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each event of a story, in the order in which they came in."""
    events: dict[str, list[Moment]] = {}
    for moment in moments:
        events.setdefault(moment.event_id, []).append(moment)
    for told in events.values():
        yield _row(told)


def _row(told: Sequence[Moment]) -> tuple[str, ...]:
    came = told[0]
    decided = next((one.facts for one in reversed(told) if one.what == "decided"), {})
    ended = {one.facts["index"]: one.facts["status"] for one in told if one.what == "outcome"}
    effects = [f"{one['kind']} {ended.get(one['index'], 'waits')}" for one in decided.get("effects", ())]
    who = next((one.facts["open_id"] for one in told if one.facts.get("open_id")), came.facts.get("caller", ""))
    return (
        time_text(came.at), came.message_id or "", _kind(came), str(who), str(decided.get("handler", "")),
        _result(decided), str(decided.get("version", "")), ", ".join(effects), str(told[-1].at - came.at),
    )  # fmt: skip


def _kind(came: Moment) -> str:
    return str(came.facts.get("event_type") or came.facts.get("kind") or came.what)


def _result(decided: Mapping[str, Any]) -> str:
    reason = decided.get("reason")
    return f"{decided.get('result', '(not decided)')}{f' ({reason})' if reason else ''}"
