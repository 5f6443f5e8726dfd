"""Knows the time that all workers share: the database's clock decides leases, rates and limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Expression
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

# Once for a statement, so that an index on the column compared with it is used; PostgreSQL's now()
# would be the beginning of the transaction.
_POSTGRESQL = "(SELECT clock_timestamp() + make_interval(secs => %s))"


class DbNow(Expression):
    """The database's time, ``seconds`` later, read when its statement runs.

    SQLite has no clock but that of the one machine on which all its workers run: the process's.
    """

    # By how many seconds tests have that clock set forward.
    ahead = 0.0

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(output_field=DateTimeField())
        self.seconds = seconds

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, Any]:
        return "%s", [self.parameter(connection)]

    def as_postgresql(self, compiler: SQLCompiler, connection: Any, **_: Any) -> tuple[str, Any]:
        return _POSTGRESQL, [self.parameter(connection)]

    def parameter(self, database: BaseDatabaseWrapper) -> Any:
        """Return the one value that its SQL takes, for who keeps the SQL and executes it again."""
        seconds = self.seconds + self.ahead
        if database.vendor == "postgresql":
            return seconds
        now = timezone.now() + timedelta(seconds=seconds)
        return self.output_field.get_db_prep_save(now, connection=database)


def db_now(seconds: float = 0.0) -> DbNow:
    """Return the database's time as part of a statement, which costs no query of its own."""
    return DbNow(seconds)


def read_db_now() -> datetime:
    """Return the database's time as a value, for what one statement cannot say.

    On PostgreSQL that is a query.
    """
    if connection.vendor != "postgresql":
        return timezone.now() + timedelta(seconds=DbNow.ahead)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_POSTGRESQL}", (DbNow.ahead,))
        found: datetime = cursor.fetchone()[0]
    return found
