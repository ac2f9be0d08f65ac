"""
``fold(outcomes) == ledger``: what the outcomes topic says must be what the database holds, column by column.

Run it once the outbox is empty: rows that are not relayed yet are in the ledger alone. Left out, because the log
does not promise them: positions, leases, budgets, pacing, when a pending effect is due, and to the millisecond when
something was committed or begun.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec

from shared.core.folded import REQUEST, ROUTING, Folded, FoldedCard, FoldedClaim, FoldedEffect, FoldedFace, FoldedLetter
from shared.feishu.limits import CARD_TOKEN_USES
from tests.support.dump import Dump

Key = tuple[str | int, ...]
Rows = Mapping[tuple[str, Key], Mapping[str, Any]]
"""Table and key to columns, in plain JSON values."""

_UNUSED_TOKEN = {"uses_left": CARD_TOKEN_USES}
NO_HANDLER: Final = frozenset({REQUEST, ROUTING})
_NOT_COMPARED: Final = frozenset({"decided_at", "due", "begun_at", "marked_at", "died_at", "is_request"})
TOLD_SINCE_0003 = frozenset({"message_id", "open_id", "occurred_at", "late"})
_UNKNOWN_FACE = dict.fromkeys(FoldedFace.__struct_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """
    Where the two part.

    Attributes:
        column: ``*`` where one of them lacks the whole row.
        folded: What the outcomes say; ``None``: nothing.
        ledger: What the database holds; ``None``: nothing.
    """

    table: str
    key: Key
    column: str
    folded: Any
    ledger: Any

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.table}{list(self.key)}.{self.column}: folded {self.folded!r}, ledger {self.ledger!r}"


def rows(folded: Folded) -> Rows:
    """Return a folded ledger as rows; faces of which nothing is known are left out."""
    found: dict[tuple[str, Key], Mapping[str, Any]] = {}
    for table in fields(folded):
        for key, row in getattr(folded, table.name).items():
            columns = _compared(msgspec.to_builtins(row))
            if columns.get("uses_left", 0) is None:
                columns = _UNUSED_TOKEN
            if columns not in (_UNKNOWN_FACE, _UNUSED_TOKEN):
                found[table.name, tuple(key)] = columns
    return found


def stored(dump: Dump) -> Rows:
    """Return the ledger's rows, of the columns that a fold makes; faces of which nothing is known are left out."""
    claims = [_row("claims", row, ("app_id", "event_id"), FoldedClaim) for row in dump.claims]
    cards = [_row("cards", row, ("app_id", "message_id"), FoldedCard) for row in dump.cards]
    faces = [_row("faces", row, ("app_id", "message_id"), FoldedFace) for row in dump.faces]
    effects = [_row("effects", _read(row), ("app_id", "event_id", "index"), FoldedEffect) for row in dump.effects]
    letters = [_row("letters", _unnamed(row), ("app_id", "event_id"), FoldedLetter) for row in dump.letters]
    tokens = [
        (("tokens", (row["app_id"], row["event_id"], row["kind"])), {"uses_left": CARD_TOKEN_USES - row["uses"]})
        for row in dump.tokens
    ]
    found = (*claims, *cards, *faces, *effects, *letters, *tokens)
    return {key: columns for key, columns in found if columns not in (_UNKNOWN_FACE, _UNUSED_TOKEN)}


def _read(effect: Mapping[str, Any]) -> Mapping[str, Any]:
    outcome = effect["outcome"]
    read = {"effect": json.loads(effect["payload"]), "outcome": None if outcome is None else json.loads(outcome)}
    return {**effect, **read}


def _unnamed(letter: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a dead letter as what was decided names its handler: not at all where it came to none."""
    return {**letter, "handler": None if letter["handler"] in NO_HANDLER else letter["handler"]}


def _row(
    table: str, row: Mapping[str, Any], key: Sequence[str], columns: type[msgspec.Struct]
) -> tuple[tuple[str, Key], Mapping[str, Any]]:
    found = _compared({name: row.get(name) for name in columns.__struct_fields__})
    texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}
    return (table, tuple(row[name] for name in key)), texts


def _compared(columns: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return columns less those that are not told exactly; of when an effect was redriven, whether it was."""
    told = {name: value for name, value in columns.items() if name not in _NOT_COMPARED}
    return {**told, "redriven_at": told["redriven_at"] is not None} if "redriven_at" in told else told


def differences(folded: Rows, ledger: Rows) -> list[Difference]:
    """Return every column that is not the same in both."""
    found = []
    for table, key in sorted(folded.keys() | ledger.keys(), key=repr):
        ours, theirs = folded.get((table, key)), ledger.get((table, key))
        if ours is None or theirs is None:
            found.append(Difference(table=table, key=key, column="*", folded=ours, ledger=theirs))
            continue
        found += [
            Difference(table=table, key=key, column=column, folded=ours.get(column), ledger=theirs.get(column))
            for column in sorted((ours.keys() | theirs.keys()) - _never_told(table, theirs))
            if ours.get(column) != theirs.get(column)
        ]
    return found


def _never_told(table: str, ledger: Mapping[str, Any]) -> frozenset[str]:
    # Claims that were made before schema 0003 have columns that nobody can fill in: the input was not kept unless it
    # failed. Whatever was claimed since has a time, so that nothing else is left out.
    return TOLD_SINCE_0003 if table == "claims" and ledger["occurred_at"] is None else frozenset()


def assert_fold_equals_ledger(folded: Folded, dump: Dump) -> None:
    """Fail with the first differences, if there are any."""
    found = differences(rows(folded), stored(dump))
    assert not found, f"{len(found)} differences between fold and ledger:\n" + "\n".join(map(str, found[:10]))
