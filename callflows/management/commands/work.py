"""Knows how to run background jobs until told to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error, close_old_connections, connections
from django.utils import timezone

from callflows.control.asking import Asking
from callflows.keeping import KEEPER
from callflows.management.commands.serve import close_databases, repair_recordings
from callflows.models import Call, Job, Line, PromptUpload, SeenToken, TimelineEntry, parts
from callflows.models.clock import read_db_now
from callflows.models.jobs import LEASE_SECONDS
from callflows.threads import own_connection
from callflows.watch import WATCH

log = logging.getLogger(__name__)

# A job waits so long at most before a free thread finds it.
IDLE_SECONDS = 0.4
# What a killed process left, and calls that nobody told us the end of, are looked for this often.
ROUND_SECONDS = 30
# Seconds that running jobs get when the process is told to stop; they run again when their leases end.
GRACE_SECONDS = 2
# A caller may wait for a quick job: never behind downloads, which have threads of their own.
QUICK_THREADS, SLOW_THREADS = 4, 2
# After trouble with the database; not at once again, nor six threads' worth of log lines a second.
TROUBLE_SECONDS = 2.0


class Command(BaseCommand):
    help = "Run waiting jobs, until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--lease",
            type=float,
            default=LEASE_SECONDS,
            metavar="SECONDS",
            help="after so long without a sign of life another worker takes over a job (%(default)g)",
        )

    def handle(self, *, lease: float, **options: Any) -> None:
        stop = threading.Event()

        def ask_to_stop(*_: object) -> None:
            stop.set()
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        KEEPER.start()
        work(stop, lease)
        close_databases()


def work(stop: threading.Event, lease: float = LEASE_SECONDS) -> None:
    """Run jobs and rounds until ``stop`` is set; a database that is away is waited for."""
    kinds = [False] * QUICK_THREADS + [True] * SLOW_THREADS
    threads = [
        threading.Thread(target=run_jobs, args=(stop, slow, lease), name=f"job {number}")
        for number, slow in enumerate(kinds, 1)
    ]
    for thread in threads:
        thread.start()
    log.info("working")
    rounds = Rounds()
    while not stop.is_set():
        rounds()
        stop.wait(ROUND_SECONDS)
    for thread in threads:
        thread.join()


def run_jobs(stop: threading.Event, slow: bool, lease: float) -> None:
    """Run jobs of the slow kinds, or of the others, one after the other."""
    host = socket.gethostname()
    worker = f"{host}:{os.getpid()}:{threading.current_thread().name}"
    pause = 0.0
    while not stop.wait(pause):
        try:
            with own_connection():
                pause = 0.0 if Job.objects.run_next(worker, host, slow=slow, lease=lease) else IDLE_SECONDS
        except Error as error:
            log.warning("the database is away, trying again: %s", error)
            WATCH.suspect()
            pause = TROUBLE_SECONDS
        except Exception:
            log.exception("a job could not be run; going on")
            pause = TROUBLE_SECONDS
    connections.close_all()


class Rounds:
    """What is done again and again, beside the jobs. One that fails does not stop the others."""

    def __init__(self) -> None:
        self.asking = Asking()
        self.all: tuple[Callable[[], object], ...] = (
            repair_recordings,
            parts.sweep,
            lambda: PromptUpload.objects.sweep(timezone.now()),
            lambda: self.asking(read_db_now()),
            lambda: Call.objects.give_up(read_db_now()),
            lambda: Line.objects.give_up(read_db_now()),
            lambda: SeenToken.objects.forget(read_db_now()),
            lambda: TimelineEntry.objects.forget_replies(read_db_now()),
            lambda: Job.objects.forget(read_db_now()),
        )

    def __call__(self) -> None:
        for each in self.all:
            try:
                each()
            except Error as error:
                log.warning("the database is away, trying again: %s", error)
            except Exception:
                log.exception("a round's work failed; going on")
        close_old_connections()
