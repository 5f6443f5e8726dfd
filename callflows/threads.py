"""Knows the threads in which the database and files are waited for, so that the event loop never is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A few threads with database connections of their own.

    Channels' ``database_sync_to_async`` shares one thread among all calls: one slow query would hold up every other.
    """

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in a thread and return its result."""
        return await sync_to_async(_clean, thread_sensitive=False, executor=self._pool)(lambda: work(*args, **kwargs))

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin ``work`` in a thread; the result must not be cancelled, only left alone.

        What ``run`` does more, for context variables and for who cancels it, costs as much as a query.
        """
        one = partial(_clean, partial(work, *args, **kwargs))
        return asyncio.get_running_loop().run_in_executor(self._pool, one)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run ``work`` in a thread; nobody waits for it."""
        return self._pool.submit(_clean, work)


def _clean(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
