"""Knows how to run background jobs until told to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error, close_old_connections
from django.utils import timezone

from callflows.management.commands.serve import close_databases, repair_recordings
from callflows.models import Call, Job

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5
# Recordings that a killed process left, and calls that nobody told us the end of, are looked for this often.
ROUND_SECONDS = 30
# Seconds that a running job gets when the process is told to stop; it runs again when its lease ends.
GRACE_SECONDS = 2


class Command(BaseCommand):
    help = "Run waiting jobs, until SIGTERM or Ctrl-C."

    def handle(self, **options: Any) -> None:
        stop = threading.Event()

        def ask_to_stop(*_: object) -> None:
            stop.set()
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        work(stop)
        close_databases()


def work(stop: threading.Event) -> None:
    """Run jobs until ``stop`` is set; a database that is away is waited for."""
    host = socket.gethostname()
    next_round = 0.0
    log.info("working")
    while not stop.is_set():
        try:
            if time.monotonic() >= next_round:
                repair_recordings()
                Call.objects.give_up(timezone.now())
                next_round = time.monotonic() + ROUND_SECONDS
            found = Job.objects.run_next(f"{host}:{os.getpid()}", host)
        except Error as error:
            log.warning("the database is away, trying again: %s", error)
            found = False
        if not found:
            close_old_connections()
            stop.wait(IDLE_SECONDS)
