"""Knows how to start one server process."""

from __future__ import annotations

import ctypes
import logging
import resource
from argparse import ArgumentParser
from collections.abc import Callable
from importlib import import_module
from threading import Thread
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.urls import reverse

from callflows import draining, garbage, serving
from callflows.keeping import KEEPER
from callflows.models import Recording
from callflows.refusing import TALLY
from callflows.serving.door import Door
from callflows.serving.limits import Limits, Refused

log = logging.getLogger(__name__)

Run = Callable[[serving.Application, str, int, serving.Drain, float, Limits, Door], None]

# What a process asks for: most systems give 1,024 unless asked.
DESCRIPTORS = 65_536

# Of glibc's malloc.h; other C libraries have no such function.
M_ARENA_MAX = -8


class Command(BaseCommand):
    help = "Serve webhooks, the admin and audio sockets. SIGTERM or Ctrl-C drains: open calls are closed and recorded."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--with", choices=("daphne", "uvicorn"), default="daphne", dest="server")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument(
            "--drain", type=float, default=10, metavar="SECONDS", help="wait so long for open calls to end"
        )

    def handle(self, *, server: str, host: str, port: int, drain: float, **options: Any) -> None:
        try:
            serving.check_address(host, port)
            share_heaps()
            Thread(target=repair_recordings, daemon=True).start()
            KEEPER.start()
            application = serving.with_access_log(get_default_application())
            run = runner(server)
            garbage.freeze()
            log.info("serving at http://%s:%s with %s", host, port, server)
            run(application, host, port, draining.drain, drain, limits(), Door(connections_allowed(), settings.PROXIES))
        except serving.CannotListen as error:
            raise CommandError(str(error)) from error
        finally:
            close_databases()


def limits() -> Limits:
    return Limits(reverse("admin:index"), settings.SESSION_COOKIE_NAME, count_refused)


def connections_allowed() -> int:
    """Return how many connections this process may hold: half of the descriptors that it can get.

    A call may write two recordings, and databases, downloads and the journal need some as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return (DESCRIPTORS if soft == resource.RLIM_INFINITY else soft) // 2


def count_refused(error: Refused) -> None:
    log.warning("a request was refused with %s: %s", error.status, error.sentence)
    TALLY.count_in_background("size", error.sentence)


def runner(server: str) -> Run:
    try:
        run: Run
        run = import_module(f"callflows.serving.on_{server}").run
    except ModuleNotFoundError as error:
        raise CommandError(f"{error.name} is not installed: .venv/bin/pip install {error.name}") from error
    return run


def share_heaps() -> None:
    """Have all threads allocate from two heaps, where glibc would make up to eight for each core.

    Each has gaps of its own, which grow for hours as requests come and go in other threads each time.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_ARENA_MAX, 2)


def repair_recordings() -> None:
    """Give recordings of a killed process to their calls."""
    try:
        if repaired := Recording.objects.repair():
            log.info("kept %s recordings that an earlier process left open", repaired)
    except Exception:
        log.exception("recordings could not be repaired; `manage.py work` will try again")
    finally:
        connections.close_all()


def close_databases() -> None:
    """Close connections and pools: a pool's threads would hold up the exit."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
