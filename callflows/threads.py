"""Knows the threads in which the database and files are waited for, so that the event loop never is."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

P = ParamSpec("P")
T = TypeVar("T")

# A connection that was used so lately is not asked first whether it lives: that is a query each time.
FRESH_SECONDS = 1.0
# SQLite has one writer, beside which another may read: more threads wait for each other, and the
# event loop waits for its turn among them.
WRITERS = 2 if connection.vendor == "sqlite" else 8


class Threads:
    """A few threads with database connections of their own.

    Channels' ``database_sync_to_async`` shares one thread among all calls: one slow query would hold up every other.
    """

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name, initializer=_yield_to_loop)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in a thread and return its result."""
        return await sync_to_async(_with_own, thread_sensitive=False, executor=self._pool)(
            lambda: work(*args, **kwargs)
        )

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin ``work`` in a thread; the result must not be cancelled, only left alone.

        What ``run`` does more, for context variables and for who cancels it, costs as much as a query.
        """
        one = partial(_with_own, partial(work, *args, **kwargs))
        return asyncio.get_running_loop().run_in_executor(self._pool, one)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run ``work`` in a thread; nobody waits for it."""
        return self._pool.submit(_with_own, work)


def _yield_to_loop() -> None:
    """Have this thread wait for its turn when it wakes, where Linux would push the event loop off the core for it.

    With 100 calls on one core, from a key to ``clear`` takes 14 ms (p99) instead of 30, and 7 to 11 ms
    with WRITERS. A lower priority would do more, but who has the interpreter's lock must not starve.
    """
    if hasattr(os, "SCHED_BATCH"):
        # A sandbox may forbid it.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _with_own(work: Callable[[], T]) -> T:
    with own_connection():
        return work()


# Connections at work, and how often the database was away: what was opened before is broken.
_AT_WORK: set[BaseDatabaseWrapper] = set()
_ERA = [0]
_MINE = threading.local()


@contextmanager
def own_connection() -> Iterator[None]:
    """Give this thread a connection that works and stays open afterwards, if it uses one."""
    wrapper: Any = connections[DEFAULT_DB_ALIAS]
    if getattr(_MINE, "era", None) != _ERA[0]:
        wrapper.close()
        _MINE.era = _ERA[0]
    # Django would ask each time whether it still lives.
    wrapper.health_check_done = time.monotonic() - getattr(_MINE, "used", 0.0) < FRESH_SECONDS
    _AT_WORK.add(wrapper)
    try:
        yield
    finally:
        _AT_WORK.discard(wrapper)
        # Django would close it when a request is over.
        wrapper.close_at = None
        if wrapper.errors_occurred:
            wrapper.close()
        _MINE.used = time.monotonic()


def cut_connections() -> None:
    """End the connections at work: who waits for a server that hangs gets an error now, not some day.

    Idle ones are closed before their next use.
    """
    _ERA[0] += 1
    for wrapper in list(_AT_WORK):
        inner: Any = wrapper.connection
        # SQLite waits for a lock in a bounded time, and has nothing to cut.
        if wrapper.vendor == "postgresql" and inner is not None:
            with suppress(Exception):
                _shut(inner.fileno())


def _shut(descriptor: int) -> None:
    # A copy of it: the thread itself may close its own just now.
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
