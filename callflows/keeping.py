"""Knows how what the database does not take is kept in the journal, and stored when it does."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone

from callflows.journal.files import Journal, Segment
from callflows.journal.record import Record
from callflows.threads import own_connection
from callflows.watch import WATCH

log = logging.getLogger(__name__)

# From a record to its place on the disk: what a loss of power may take. The promise is 100 ms.
SYNC_SECONDS = 0.05
# How often dead processes' files are looked for.
LOOK_SECONDS = 5.0
# After the database did not take a record though it is there: a lock, a deadlock.
AGAIN_SECONDS = 1.0
# What waits takes this share of a core, and lets webhooks that are being answered go first, for so long
# at most: on a busy machine callers waited for 3 s beside it.
SHARE = 0.5
WAY_SECONDS = 0.25

Store = Callable[[Record], None]
STORES: dict[str, Store] = {}


class NotNow(Exception):
    """A record that the database did not take, and may take later."""


def stores(kind: str) -> Callable[[Store], Store]:
    """Let a function do the work of a kind of records. Called twice for one, it does it once.

    It raises NotNow for what may pass; whatever else it raises, the record is put aside for people.
    """

    def register(store: Store) -> Store:
        STORES[kind] = store
        return store

    return register


class Keeper:
    """This process's journal, and the threads that bring it to the disk and into the database."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._woken, self._written = threading.Event(), threading.Event()
        # How many webhooks are being answered now.
        self.callers = 0
        self._ended = False
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        # Held while records are being stored.
        self._storing = threading.Lock()

    def start(self) -> None:
        """Store what earlier processes left, and go on looking for it."""
        with self._starting:
            if not self._threads:
                WATCH.on_return.append(self.soon)
                self._threads = [
                    threading.Thread(target=each, name=f"journal {each.__name__}", daemon=True)
                    for each in (self._sync, self._store)
                ]
                for thread in self._threads:
                    thread.start()

    def keep(
        self,
        kind: str,
        payload: Mapping[str, Any],
        at: datetime | None = None,
        hold: float = 0.0,
    ) -> None:
        """Write one thing down before anybody is told that it is kept. Raises OSError.

        ``at`` is when it came; its work is done ``hold`` seconds later at the earliest.
        """
        now = time.time_ns()
        record = Record(secrets.token_hex(12), kind, at or timezone.now(), payload, hold)
        self.journal.append(record, f"{now:020d}-{os.getpid()}-{secrets.token_hex(3)}")
        self._written.set()
        self.start()
        if not WATCH.away:
            self.soon()

    def soon(self) -> None:
        self._woken.set()

    def _sync(self) -> None:
        while not self._ended:
            self._written.wait()
            time.sleep(SYNC_SECONDS)
            self._written.clear()
            try:
                self.journal.sync()
            except OSError:
                log.exception("the journal could not be brought to the disk")

    def _store(self) -> None:
        pause = 0.0
        while not self._ended:
            self._woken.wait(pause)
            self._woken.clear()
            pause = LOOK_SECONDS
            try:
                if not WATCH.away:
                    pause = self.store_waiting()
            except Exception:
                log.exception("the journal could not be read; going on")

    def store_waiting(self) -> float:
        """Store what waits, as far as it is taken; return after how many seconds to look again."""
        pauses = [LOOK_SECONDS]
        with self._storing:
            try:
                for segment in self.journal.waiting():
                    pauses += self._store_segment(segment)
            except NotNow as error:
                log.warning("the database does not take the journal yet: %s", error)
                pauses.append(AGAIN_SECONDS)
            finally:
                connections.close_all()
        return min(pauses)

    def _store_segment(self, segment: Segment) -> list[float]:
        """Store one file's records in their order; return the seconds for which some are held."""
        waiting = segment.waiting
        for line in segment.damaged:
            self._refuse(line, "it is damaged")
        segment.damaged = []
        for record in list(waiting):
            if record.due <= timezone.now():
                self._store_one(record)
                waiting.remove(record)
        if not waiting:
            self.journal.done(segment)
        return [max(0.0, (each.due - timezone.now()).total_seconds()) for each in waiting]

    def _store_one(self, record: Record) -> None:
        begun = time.thread_time()
        try:
            with own_connection():
                STORES[record.kind](record)
        except NotNow:
            raise
        except Exception as error:
            log.exception("a record of the journal cannot be stored")
            self._refuse(record.line(), str(error))
        time.sleep((time.thread_time() - begun) * (1 - SHARE) / SHARE)
        self._give_way()

    def _give_way(self) -> None:
        until = time.monotonic() + WAY_SECONDS
        while self.callers and time.monotonic() < until:
            time.sleep(0.005)

    def _refuse(self, line: bytes, reason: str) -> None:
        log.error("put aside in %s: %s", self.journal.folder / "refused", reason)
        self.journal.refuse(line)

    def end(self) -> None:
        """Let go of the files and of the threads, as the end of the process does."""
        self._ended = True
        self._woken.set()
        self._written.set()
        for thread in self._threads:
            thread.join()
        self.journal.close()

    def settle(self) -> None:
        """Forget everything, once what is being stored is: between tests with other databases."""
        with self._storing:
            for segment in self.journal.waiting():
                self.journal.done(segment)


KEEPER = Keeper(Journal(settings.DATA_DIR / "journal", int(settings.JOURNAL_MB * 1024 * 1024)))
keep = KEEPER.keep
