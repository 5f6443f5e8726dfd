"""Knows whether the database would take a call now: asked anew, in a bounded time."""

from __future__ import annotations

import select
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# What a webhook writes. Asking for the right to is the whole question: nothing is written, nobody
# is kept waiting.
_TABLES = ("call", "leg", "timelineentry", "seentoken")
_LOCKS = ", ".join(f"callflows_{each}" for each in _TABLES)
_LOCK = f"LOCK TABLE {_LOCKS} IN ROW EXCLUSIVE MODE"
_ASK = f"BEGIN; SET LOCAL lock_timeout = '250ms'; {_LOCK}; ROLLBACK"
# Django's own arguments, of which libpq knows nothing.
_NOT_LIBPQ = ("context", "cursor_factory", "prepare_threshold", "autocommit", "row_factory")
# How long SQLite's one writer may go on before it counts as a lock.
_SQLITE_SECONDS = 0.25


def why_away(seconds: float) -> str:
    """Return why the database would take nothing now; empty when it would. Blocks so long at most."""
    # This thread's own wrapper: only for what it was configured with.
    wrapper = connections["default"]
    try:
        if wrapper.vendor == "sqlite":
            return _sqlite(str(wrapper.settings_dict["NAME"]))
        return _postgres(wrapper, seconds)
    except Exception as error:
        return str(error).strip() or type(error).__name__


def _sqlite(path: str) -> str:
    with closing(sqlite3.connect(path, timeout=_SQLITE_SECONDS, isolation_level=None)) as lite:
        lite.execute("BEGIN IMMEDIATE")
        lite.execute("ROLLBACK")
    return ""


def _postgres(wrapper: BaseDatabaseWrapper, seconds: float) -> str:
    """Ask step by step: psycopg waits 2 s for a connection at least, and for a reply for ever."""
    from psycopg import conninfo, pq

    told = wrapper.get_connection_params()
    told = {name: value for name, value in told.items() if name not in _NOT_LIBPQ}
    deadline = time.monotonic() + seconds
    asking = pq.PGconn.connect_start(conninfo.make_conninfo(**told).encode())
    try:
        for wanted in _steps(asking, pq):
            left = deadline - time.monotonic()
            if left <= 0 or not _ready(asking.socket, wanted, left):
                return f"no answer within {seconds:g} s"
        return ""
    finally:
        asking.finish()


def _ready(descriptor: int, wanted: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, wanted)
    return bool(waiting.poll(1000 * seconds))


def _steps(asking: Any, pq: Any) -> Iterator[int]:
    """Go on as far as possible; yield for what the socket has to be waited for."""
    while (state := asking.connect_poll()) != pq.PollingStatus.OK:
        if state == pq.PollingStatus.FAILED:
            raise OSError(asking.error_message.decode(errors="replace").strip())
        yield select.POLLIN if state == pq.PollingStatus.READING else select.POLLOUT
    asking.nonblocking = 1
    asking.send_query(_ASK.encode())
    while asking.flush():
        yield select.POLLOUT
    while True:
        asking.consume_input()
        while asking.is_busy():
            yield select.POLLIN
            asking.consume_input()
        if (result := asking.get_result()) is None:
            return
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise OSError(result.error_message.decode(errors="replace").strip())
