"""Knows how an answer leaves in time: the work in its thread, or the clock, whichever is first."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, IntegrityError, connection

from callflows.models.book import Overtaken
from callflows.threads import Threads

log = logging.getLogger(__name__)
T = TypeVar("T")

# Answers have threads of their own: events that wait for a database that is away must not keep a caller waiting.
# SQLite has one writer: several would wait for each other, asking again and again, in no order.
ANSWERS = Threads("answer", 1 if connection.vendor == "sqlite" else 8)
EVENTS = Threads("event", 8)
_LATER = Threads("later", 2)

# How many seconds apart we try to write down what the database could not take at once.
_LATER_SECONDS = (0.5, 1, 2, 5, 10)

# A call has few legs and rooms that one could be overtaken at.
_RACES = 4

# How long the clock waits for work that is just committing.
_COMMIT_SECONDS = 0.25


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

    The thread goes on then: it finds out by ``Turn.commit`` that it is too late, and writes down what was said instead.
    """
    turn = Turn()
    future = threads.start(work, turn)
    done, _ = await asyncio.wait({future}, timeout=seconds)
    if not done and not turn.take("clock"):
        done, _ = await asyncio.wait({future}, timeout=_COMMIT_SECONDS)
    if done:
        return future.result()
    future.add_done_callback(_tell)
    return None


def patiently(work: Callable[[], T]) -> T | None:
    """Run ``work`` until the database takes it, for about 20 s plus its own waits; nobody waits for it."""
    for pause in (*_LATER_SECONDS, None):
        try:
            return again_if_raced(work)
        except DatabaseError as error:
            if pause is None:
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


def in_background(work: Callable[[], object]) -> None:
    """Run ``work`` in a thread; nobody waits for it."""
    _LATER.submit(work)


def _tell(future: asyncio.Future[T]) -> None:
    if not future.cancelled() and (error := future.exception()):
        log.error("work that came too late failed as well: %s", error)
