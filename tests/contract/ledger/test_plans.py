"""How the databases look for what was performed since something was decided that is tried again by hand."""

from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import ClauseElement, Connection, Executable, text
from sqlalchemy.ext.compiler import compiles

from shared.core.events import EFFECTS_PER_DECISION
from shared.core.ids import MessageId
from shared.core.targets import message_target
from tests.contract.ledger.words import APP, Decider, Opener, claim, effect, lease
from worker.ledger.engine import Database
from worker.ledger.leased import TargetKey
from worker.ledger.performed import Performed
from worker.ledger.pulse import tried

CARDS: Final = 200
CLICKS: Final = 20


class Explained(Executable, ClauseElement):
    """Asks for a statement's plan, in the words of the database."""

    inherit_cache = False

    def __init__(self, statement: Any) -> None:
        self.statement = statement


@compiles(Explained)
def _explained(element: Explained, compiler: Any, **given: Any) -> str:
    words = "EXPLAIN QUERY PLAN" if compiler.dialect.name == "sqlite" else "EXPLAIN"
    return f"{words} {compiler.process(element.statement, **given)}"


class Explaining:
    """Stands in for a connection: has every statement explained, and finds nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.plan = ""

    def execute(self, statement: Any, parameters: Any) -> Any:
        """Note the plan."""
        found = self._connection.execute(Explained(statement), parameters).all()
        self.plan += "".join(f"{row[-1]}\n" for row in found)
        return self

    def all(self) -> list[Any]:
        """Return no row."""
        return []


@pytest.mark.parametrize("is_analyzed", [False, True], ids=["without statistics", "with statistics"])
async def test_what_was_performed_since_is_found_by_the_inputs_about_its_card(
    ledger_url: str, opened: Opener, *, is_analyzed: bool
) -> None:
    """By two indexes that are there anyway: what a lease asks must not go through all clicks of all cards."""
    ledger = opened(ledger_url)
    await ledger.begin(3)
    cards = [MessageId(f"om_{number}") for number in range(CARDS)]
    names = [(f"e{card}-{n}", card) for n in range(CLICKS) for card in cards]
    await Decider(ledger).write(
        claims=[replace(claim(name, offset=at), message_id=card) for at, (name, card) in enumerate(names)],
        effects=[
            effect(name, target=message_target(card), message_id=card, order=at * EFFECTS_PER_DECISION + 1)
            for at, (name, card) in enumerate(names)
        ],
    )
    (leased,) = (await lease(ledger, limit=1)).targets
    key = TargetKey(APP, leased.key.target)
    tried = [replace(leased.heads[0], redriven_at=7, k=1)]
    database = Database(ledger_url, None)

    def ask(connection: Connection) -> str:
        if is_analyzed:
            connection.execute(text("ANALYZE"))
        explaining = Explaining(connection)
        Performed(database.dialect).since(explaining, {key: tried})  # type: ignore[arg-type]
        return explaining.plan

    try:
        plan = await database.transaction(ask)
    finally:
        await database.close()
    assert "claims_about" in plan, plan
    assert [] == [line for line in plan.splitlines() if _goes_through_all(line, "claims", "effects")], plan


@pytest.mark.parametrize("is_analyzed", [False, True], ids=["without statistics", "with statistics"])
async def test_who_waits_in_vain_is_found_without_going_through_what_is_put_off(
    ledger_url: str, opened: Opener, *, is_analyzed: bool
) -> None:
    """By the index of what is due and that of what is pending: each worker asks every five seconds."""
    ledger = opened(ledger_url)
    await ledger.begin(3)
    names = [f"e{number}" for number in range(2_000)]
    tomorrow = [
        effect(name, target=message_target(MessageId(f"om_{name}")), kind="Remind", due_in_ms=86_400_000)
        for name in names
    ]
    await Decider(ledger).write(claims=[claim(name, offset=at) for at, name in enumerate(names)], effects=tomorrow)
    database = Database(ledger_url, None)

    def ask(connection: Connection) -> str:
        if is_analyzed:
            connection.execute(text("ANALYZE"))
        explaining = Explaining(connection)
        explaining.execute(tried(database), {})
        return explaining.plan

    try:
        plan = await database.transaction(ask)
    finally:
        await database.close()
    assert "targets_due" in plan, plan
    assert "effects_pending" in plan, plan
    assert [] == [line for line in plan.splitlines() if _goes_through_all(line, "effects", "targets")], plan


def _goes_through_all(line: str, *tables: str) -> bool:
    return any(f"{word} {table}" in line for word in ("SCAN", "Seq Scan on") for table in tables)
