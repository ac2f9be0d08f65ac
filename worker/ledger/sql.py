"""
What the two databases say differently, said once: the time, the smaller and the greater, many rows at once.

A batch must not cost a round trip for each row. PostgreSQL takes many rows as arrays, one for each column, and
unnests them; SQLite, in the same process, either repeats the statement for each row (`rows`: cheap, but nothing can
be returned) or unnests a JSON text (`keys`: may return and join, holds no bytes). The statements around are the same.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, Literal, cast

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    LargeBinary,
    String,
    Table,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import ReturnTypeFromArgs
from sqlalchemy.types import TypeEngine

from shared.clock import Clock

Dialect = Literal["postgresql", "sqlite"]

CHUNK: Final = 1_000
"""Rows of one statement at most: bounds its memory, and each column is one parameter anyway."""

_NOW: Final[dict[Dialect, str]] = {
    # Not the transaction's time: a transaction may have waited for a lock.
    "postgresql": "(extract(epoch FROM statement_timestamp()) * 1000)::bigint",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
}


def now(dialect: Dialect, clock: Clock | None) -> ColumnElement[int]:
    """Return the ledger's time (ms), constant within a statement: the database's, or a clock's asked at execution."""
    if clock is not None:
        return bindparam("now", callable_=clock.now, type_=BigInteger())
    return literal_column(_NOW[dialect], BigInteger())


class least(ReturnTypeFromArgs[Any]):  # noqa: N801  (named as SQL names it)
    """The smallest of some values that are not NULL."""

    inherit_cache = True


class greatest(ReturnTypeFromArgs[Any]):  # noqa: N801  (named as SQL names it)
    """The greatest of some values that are not NULL."""

    inherit_cache = True


@compiles(least, "sqlite")
def _least(element: least, compiler: SQLCompiler, **options: Any) -> str:
    return f"min{compiler.process(element.clause_expr, **options)}"


@compiles(greatest, "sqlite")
def _greatest(element: greatest, compiler: SQLCompiler, **options: Any) -> str:
    return f"max{compiler.process(element.clause_expr, **options)}"


def earliest(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the smaller of two values of which each may be NULL."""
    return least(func.coalesce(one, other), func.coalesce(other, one))


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Rows that a statement is given: a table to select from, and how values become its parameters."""

    table: FromClause
    parameters: Callable[[Sequence[Sequence[Any]]], Any]

    def execute(self, connection: Connection, statement: Executable, values: Sequence[Sequence[Any]]) -> int:
        """Run a statement that returns nothing for all rows, and return how many it changed or made."""
        changed = 0
        for start in range(0, len(values), CHUNK):
            chunk = self.parameters(values[start : start + CHUNK])
            result = connection.execute(statement, chunk, execution_options={"preserve_rowcount": True})
            changed += result.rowcount
        return changed

    def fetch(self, connection: Connection, statement: Executable, values: Sequence[Sequence[Any]]) -> list[Any]:
        """Run a statement for all rows and return what it returns, chunk by chunk."""
        found: list[Any] = []
        for start in range(0, len(values), CHUNK):
            result: CursorResult[Any] = connection.execute(statement, self.parameters(values[start : start + CHUNK]))
            found += result.all()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated(Given):
    """
    Rows for each of which the statement is repeated.

    The driver is given them as they are: SQLAlchemy would look at every value of every row, for nothing, and that
    took as long as SQLite's own work.
    """

    names: Sequence[str]
    _compiled: "dict[Executable, tuple[str, itemgetter[Any]]]" = field(default_factory=dict)

    def execute(self, connection: Connection, statement: Executable, values: Sequence[Sequence[Any]]) -> int:
        if not values:
            return 0
        text, in_order = self._compile(connection, statement)
        return connection.exec_driver_sql(text, list(map(in_order, values)), {"preserve_rowcount": True}).rowcount

    def _compile(self, connection: Connection, statement: Executable) -> "tuple[str, itemgetter[Any]]":
        if statement not in self._compiled:
            compiled = cast("ClauseElement", statement).compile(dialect=connection.dialect)
            places = [self.names.index(name) for name in cast("SQLCompiler", compiled).positiontup or ()]
            self._compiled[statement] = str(compiled), itemgetter(*places)
        return self._compiled[statement]


def keys(dialect: Dialect, **columns: TypeEngine[Any]) -> Given:
    """Return rows of texts and integers, in their order, for a statement that may also return something."""
    if dialect == "postgresql":
        return _unnested(columns)
    each = func.json_each(bindparam("given", type_=String())).table_valued("value", name="each")
    table = select(
        *(
            func.json_extract(each.c.value, literal_column(f"'$[{number}]'"), type_=type_).label(name)
            for number, (name, type_) in enumerate(columns.items())
        )
    ).subquery("given")
    return Given(table=table, parameters=lambda values: {"given": json.dumps(values)})


def rows(dialect: Dialect, **columns: TypeEngine[Any]) -> Given:
    """Return rows of any values for a statement that returns nothing."""
    if dialect == "postgresql":
        return _unnested(columns)
    binds = {name: f"given_{name}" for name in columns}
    table = select(*(bindparam(binds[name], type_=type_).label(name) for name, type_ in columns.items())).subquery(
        "given"
    )
    return Repeated(table=table, names=list(binds.values()), parameters=list)


def _unnested(columns: dict[str, TypeEngine[Any]]) -> Given:
    binds = [f"given_{name}" for name in columns]
    arrays = [
        bindparam(bind, type_=postgresql.ARRAY(_plain(type_)))
        for bind, type_ in zip(binds, columns.values(), strict=True)
    ]
    table = (
        func.unnest(*arrays)
        .table_valued(*(column(name, type_) for name, type_ in columns.items()), name="given")
        .render_derived()
    )
    return Given(
        table=table,
        parameters=lambda values: dict(zip(binds, map(list, zip(*values, strict=True)), strict=True)),
    )


def _plain(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    match type_:
        case String():
            return String()
        case LargeBinary():
            return postgresql.BYTEA()
        case _:
            return type_


def insert_into(dialect: Dialect, table: Table) -> Any:
    """Return an INSERT that can be told what to do on conflict."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_given(dialect: Dialect, table: Table, given: Given, names: Iterable[str], **constants: Any) -> Any:
    """Return the statement that inserts the given rows, to be told what to do on conflict."""
    insert = insert_into(dialect, table)
    chosen = list(names)
    values = [*(given.table.c[name] for name in chosen), *constants.values()]
    # SQLite reads ON after a bare FROM as a join's condition; a WHERE keeps it from that.
    source = select(*values).where(true())
    return insert.from_select([*chosen, *constants], source, include_defaults=False)
