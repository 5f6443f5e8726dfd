"""Knows how an answer leaves in time: the work in its thread, or the clock, whichever is first."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection

from callflows.keeping import KEEPER
from callflows.models.book import Overtaken
from callflows.threads import WRITERS, Threads
from callflows.watch import WATCH

log = logging.getLogger(__name__)
T = TypeVar("T")

# Answers have threads of their own: events that wait for a database that is away must not keep a caller waiting.
# SQLite has one writer: several would wait for each other, asking again and again, in no order.
ANSWERS = Threads("answer", 1 if connection.vendor == "sqlite" else 8)
EVENTS = Threads("event", WRITERS)
_JOURNAL = Threads("keep", 1)

# How many seconds apart we try to write down what the database could not take at once.
_LATER_SECONDS = (0.5, 1, 2, 5, 10)

# A call has few legs and rooms that one could be overtaken at.
_RACES = 4

# How long the clock waits for work that is just committing.
_COMMIT_SECONDS = 0.15

# After so long without a result the database is looked at: it may hang, and others would wait too.
SLOW_SECONDS = 0.5


class TooLate(Exception):
    """The clock was first: what this transaction was about to say has not been said."""


class Turn:
    """Decides, once, who answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._winner: object | None = None

    def take(self, who: object) -> bool:
        """Return whether ``who`` is the one that answers."""
        with self._lock:
            if self._winner is None:
                self._winner = who
            return self._winner is who

    def begin(self) -> None:
        """Called before any work: raises TooLate when it would be for nobody, after a long wait."""
        if self._winner is not None and self._winner != "work":
            raise TooLate

    def commit(self) -> None:
        """Called at the end of a transaction: raises TooLate, so that it rolls back, when the clock was first."""
        if not self.take("work"):
            raise TooLate


async def in_time(threads: Threads, work: Callable[[Turn], T], seconds: float) -> T | None:
    """Run ``work`` in one of ``threads``; return its result, or None when ``seconds`` pass first.

    None as well when the database is found to be away meanwhile. The thread goes on then: it finds
    out by ``Turn.commit`` that it is too late.
    """
    turn, change = Turn(), WATCH.change()
    future = threads.start(work, turn)
    slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, WATCH.suspect)
    waited: set[asyncio.Future[Any]] = {future, change}
    KEEPER.callers += 1
    try:
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        KEEPER.callers -= 1
        slow.cancel()
        change.cancel()
    if not future.done() and not turn.take("clock"):
        await asyncio.wait({future}, timeout=_COMMIT_SECONDS)
    if future.done():
        return future.result()
    future.add_done_callback(_tell)
    return None


async def written(keep: Callable[[], object], seconds: float) -> bool:
    """Run ``keep``, which writes to the journal, in a thread; return whether it has. Disks hang too."""
    future = asyncio.ensure_future(_JOURNAL.run(keep))
    done, _ = await asyncio.wait({future}, timeout=seconds)
    if done and (error := future.exception()):
        log.error("not even the journal takes it: %s", error)
    elif not done:
        future.add_done_callback(_tell)
    return bool(done) and not future.exception()


def may_pass(error: BaseException) -> bool:
    """Whether the database may take the same later: it is away, or somebody else was at it."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    # PostgreSQL's class 54: a value or an index row is too large, today and tomorrow.
    return not str(getattr(error.__cause__, "sqlstate", None) or "").startswith("54")


def attempt(work: Callable[[], T]) -> T:
    """Run ``work`` in this thread's connection, and tell the watch how it went.

    Once more if the connection is broken: the server may have been started anew since its last use.
    """
    try:
        result = again_if_raced(work)
    except (OperationalError, InterfaceError):
        WATCH.suspect()
        if WATCH.away or connection.connection is None or connection.is_usable():
            raise
        connection.close()
        result = again_if_raced(work)
    WATCH.worked()
    return result


def patiently(work: Callable[[], T]) -> T | None:
    """Run ``work`` until the database takes it, for about 20 s plus its own waits; nobody waits for it."""
    for pause in (*_LATER_SECONDS, None):
        try:
            return attempt(work)
        except DatabaseError as error:
            if pause is None or not may_pass(error):
                log.exception("given up: the database did not take it")
                return None
            log.warning("the database did not take it, again in %s s: %s", pause, error)
            time.sleep(pause)  # in a thread of our own, that no answer waits for
    return None


def again_if_raced(work: Callable[[], T]) -> T:
    """Run ``work`` once more when another worker made the same row just before: then it is there to be found.

    The same when another worker holds a part of the call: the next time it is waited for.
    """
    for _ in range(_RACES):
        try:
            return work()
        except (IntegrityError, Overtaken):
            continue
    return work()


def _tell(future: asyncio.Future[T]) -> None:
    error = None if future.cancelled() else future.exception()
    if error and not isinstance(error, TooLate):
        log.error("work that came too late failed as well: %s", error)
