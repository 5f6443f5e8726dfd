"""Knows how refusals are counted: in memory first, and written at most once a second for each class, in a thread."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime
from functools import partial

from django.db import Error
from django.utils import timezone

from callflows.models import Refusal
from callflows.threads import Threads

log = logging.getLogger(__name__)

# A flood of refusals costs the database this much and no more; one that could not write is left alone for longer.
WRITE_SECONDS = 1.0
AGAIN_SECONDS = 10.0
# Of a sentence that quotes what a stranger sent.
SENTENCE_CHARACTERS = 300
THREADS = Threads("refusal", 1)


class Tally:
    """What was counted and is not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # How many of each class, the last one's sentence, and when it came.
        self._waiting: dict[str, tuple[int, str, datetime]] = {}
        # When each class may be written next, on the monotonic clock; never, while it is being written.
        self._free: dict[str, float] = {}
        self._timer: threading.Timer | None = None

    def count(self, counted: str, sentence: str) -> bool:
        """Count one, without ever waiting. True: the caller must see to ``write`` now; else that follows by itself."""
        with self._lock:
            self._add(counted, 1, sentence[:SENTENCE_CHARACTERS], timezone.now())
            if self._due(counted):
                return True
            self._set_timer()
            return False

    def count_in_background(self, counted: str, sentence: str) -> None:
        if self.count(counted, sentence):
            THREADS.submit(partial(self.write, counted))

    def write(self, counted: str) -> None:
        """Write one class down, or keep it for later when the database does not take it. Blocks."""
        with self._lock:
            waiting = self._waiting.pop(counted, None)
        pause = WRITE_SECONDS
        try:
            if waiting:
                times, sentence, at = waiting
                Refusal.objects.count_up(counted, sentence, times, at)
        except Error as error:
            log.warning("refusals (%s) could not be counted yet: %s", counted, error)
            pause = AGAIN_SECONDS
        with self._lock:
            self._free[counted] = time.monotonic() + pause
            if waiting and pause == AGAIN_SECONDS:
                self._add(counted, *waiting)
                self._set_timer()

    def forget(self) -> None:
        """Drop what is not written: between tests, whose databases are others."""
        with self._lock:
            self._waiting.clear()
            self._free.clear()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None

    def _add(self, counted: str, times: int, sentence: str, at: datetime) -> None:
        before = self._waiting.get(counted, (0, sentence, at))
        latest = max((before, (times, sentence, at)), key=lambda each: each[2])
        self._waiting[counted] = (before[0] + times, *latest[1:])

    def _due(self, counted: str) -> bool:
        """Whether a class may be written; who is told so has to do it."""
        if time.monotonic() < self._free.get(counted, 0.0):
            return False
        self._free[counted] = float("inf")
        return True

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(WRITE_SECONDS, self._ring)
            self._timer.daemon = True
            self._timer.start()

    def _ring(self) -> None:
        with self._lock:
            self._timer = None
            due = [counted for counted in self._waiting if self._due(counted)]
            if len(due) < len(self._waiting):
                self._set_timer()
        for counted in due:
            THREADS.submit(partial(self.write, counted))


TALLY = Tally()
