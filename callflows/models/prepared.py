"""Knows SQL that Django builds once, from the models, and that is then executed with other values.

Django takes longer to build the statements of an answer than both databases take to execute them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery

from callflows.models.clock import DbNow
from callflows.models.cut import CutField
from callflows.models.together import Row, Statement, waiting

_TEXTS = (models.CharField, models.TextField)


def insert(row: models.Model) -> None:
    """Write a new row down, as ``save`` does but without signals. It may have to wait."""
    if not _waits(row):
        _insert(row, None)
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def insert_unless_there(row: models.Model) -> bool:
    """Write a row down unless one with its key is there; return whether it was written."""
    return _insert(row, OnConflict.IGNORE) == 1


def _waits(row: models.Model) -> bool:
    """Leave a row to be written with others, if it has a key, or gets one that is free."""
    mine = waiting()
    if mine is None:
        return False
    if row.pk is None:
        row.pk = mine.keys.pop(type(row), None)
    if row.pk is None:
        return False
    mine.statements.append(_statement(row, None)[0])
    return True


def _insert(row: models.Model, on_conflict: OnConflict | None) -> int:
    (sql, values), returns = _statement(row, on_conflict)
    database = connections[DEFAULT_DB_ALIAS]
    with transaction.mark_for_rollback_on_error(database.alias), database.cursor() as cursor:
        cursor.execute(sql, values)
        if returns:
            (row.pk,) = cursor.fetchone()
        return int(cursor.rowcount)


def _statement(row: models.Model, on_conflict: OnConflict | None) -> tuple[Statement, bool]:
    """Return what writes a row down, and whether it tells the key."""
    database = connections[DEFAULT_DB_ALIAS]
    clocks = frozenset(name for name, value in vars(row).items() if type(value) is DbNow)
    sql, fields, returns = _insert_sql(type(row), database.vendor, row.pk is not None, clocks, on_conflict)
    return (sql, [_value(each, each.pre_save(row, True), database) for each in fields]), returns


def _value(field: models.Field[Any, Any], value: Any, database: BaseDatabaseWrapper) -> Any:
    """Return a value as the database wants it; to texts, two thirds of all, nothing is done."""
    if value is None or (type(value) is str and type(field) in _TEXTS):
        return value
    if type(value) is DbNow:
        return value.parameter(database)
    if type(value) is str and type(field) is CutField:
        return value[: field.max_length]
    return field.get_db_prep_save(value, connection=database)


@lru_cache
def _insert_sql(
    model: type[models.Model], vendor: str, keyed: bool, clocks: frozenset[str], on_conflict: OnConflict | None
) -> tuple[str, Sequence[models.Field[Any, Any]], bool]:
    """Return the statement that adds a row, with its key or without, the fields whose values it
    takes, and whether it tells the new key. The fields
    named by ``clocks`` get the database's time.
    """
    made = [] if keyed else list(model._meta.db_returning_fields)
    fields = [each for each in model._meta.local_concrete_fields if not (each.generated or each in made)]
    query = InsertQuery(model, on_conflict=on_conflict)
    query.insert_values(fields, [model(**{name: DbNow() for name in clocks})])
    compiler: Any = query.get_compiler(connection=connection)
    compiler.returning_fields = made
    ((sql, _),) = compiler.as_sql()
    return sql, fields, bool(made)


@dataclass(frozen=True)
class Question:
    """A query of which only the texts differ: ``make`` returns its ``values_list`` for marks.

    Its rows are the tuples that the query set itself would yield.
    """

    make: Callable[..., models.QuerySet[Any, Any]]
    texts: int = 1
    _built: dict[str, tuple[str, list[int | None], Row, dict[int, Any]]] = field(default_factory=dict)

    def ask(self, *texts: str) -> list[Row]:
        database = connections[DEFAULT_DB_ALIAS]
        with database.cursor() as cursor:
            cursor.execute(*self.statement(*texts))
            rows = cursor.fetchall()
        converters = self._of(database.vendor)[-1]
        return [_converted(row, converters, database) for row in rows] if converters else rows

    def statement(self, *texts: str) -> Statement:
        """Return what asks it, for who asks more in the same message."""
        sql, places, constants, _ = self._of(connections[DEFAULT_DB_ALIAS].vendor)
        pairs = zip(places, constants, strict=True)
        return sql, [constant if place is None else texts[place] for place, constant in pairs]

    def _of(self, vendor: str) -> tuple[str, list[int | None], Row, dict[int, Any]]:
        return self._built.get(vendor) or self._build(vendor)

    def _build(self, vendor: str) -> tuple[str, list[int | None], Row, dict[int, Any]]:
        # No text of anybody's looks like one: the private use of Unicode is nobody's.
        marks = [f"\ue000{place}" for place in range(self.texts)]
        compiler: Any = self.make(*marks).query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        places = [marks.index(each) if each in marks else None for each in params]
        if set(range(self.texts)) - set(places):
            raise TypeError("a text of the query is not among its parameters")
        converters = compiler.get_converters([each for each, *_ in compiler.select])
        built = self._built[vendor] = (sql, places, tuple(params), converters)
        return built


def _converted(row: Row, converters: dict[int, Any], database: BaseDatabaseWrapper) -> Row:
    values = list(row)
    for place, (steps, expression) in converters.items():
        for step in steps:
            values[place] = step(values[place], expression, database)
    return tuple(values)
