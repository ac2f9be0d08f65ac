"""Every row has one writer, since whoever works on the ledger is given its own side of it (worker/ledger/port.py)."""

import ast
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Final

import worker
from worker.ledger import port

HOLDERS: Final[Mapping[str, set[str]]] = {
    "app": {"Ledger"},
    "start": {"StartingLedger"},
    "deciding/consume": {"DecidingLedger"},
    "performing/ports": {"PerformingLedger"},
    "performing/settle": {"SettlingLedger"},
    "platform/tickets": {"TicketLedger"},
    "relay": {"RelayingLedger"},
    "retention": {"RetainingLedger"},
    "measure": {"WatchedLedger"},
}
"""Who may name which protocol, by file of the worker: a loop that is given another one's can write its rows."""

SHARED: Final = {"positions", "now", "hold"}
"""What more than one side has: two questions, and the fleet's roles, which nobody's rows depend on."""

SIDES: Final = {
    name: each
    for name, each in vars(port).items()
    if getattr(each, "_is_protocol", False) and each.__module__ == port.__name__
}


def _methods(side: type) -> set[str]:
    """Return what a side offers, its own and what it has from others."""
    return {name for each in side.__mro__ for name in vars(each) if not name.startswith("_")}


def _files() -> Iterator[tuple[str, ast.Module]]:
    """Yield the worker's files beside the ledger's own, by their names within the worker."""
    (folder,) = worker.__path__
    for path in sorted(Path(folder).rglob("*.py")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if not name.startswith("ledger/"):
            yield name, ast.parse(path.read_text())


def _said(tree: ast.Module) -> Iterator[str]:
    """Yield every name in a file, however it comes by it."""
    for node in ast.walk(tree):
        match node:
            case ast.alias(name=name) | ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                yield name
            case _:
                pass


def test_each_is_given_its_own_side_and_no_other() -> None:
    """Deciding settles nothing, performing writes no card, and only the settler settles."""
    named = {file: SIDES.keys() & set(_said(tree)) for file, tree in _files()}
    assert HOLDERS == {file: sides for file, sides in named.items() if sides}


def test_no_side_offers_what_another_writes() -> None:
    """Neither by a method of its own nor by one that it has from another side."""
    sides = [
        _methods(SIDES[name]) for name in sorted({side for held in HOLDERS.values() for side in held} - {"Ledger"})
    ]
    assert SHARED == {name for one, other in combinations(sides, 2) for name in one & other}
    assert _methods(port.Ledger) == set().union(*sides, {"check", "close"})


def test_nothing_is_in_the_port_that_no_part_of_a_worker_asks_for() -> None:
    """What people ask, or tests, is not the loops' business."""
    asked = {
        node.attr
        for _, tree in _files()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (
            (isinstance(node.value, ast.Attribute) and node.value.attr == "_ledger")
            or (isinstance(node.value, ast.Name) and node.value.id == "ledger")
        )
    }
    assert set() == _methods(port.Ledger) - asked
