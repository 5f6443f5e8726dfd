"""Knows the kinds of tests, and holds each to its kind: the core starts and opens nothing, most start no process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).resolve().parent
# What is true by thinking alone: no process, no database, no server. `make test-core` runs it.
CORE = ("audio", "calls", "grounds", "ncco", "payloads", "simulator", "sockets", "wire")
# The simulator's tests that are none: they need a server of this process, or the settings.
NOT_CORE = {
    f"simulator/test_{name}.py"
    for name in (
        *("driver", "load", "rest_client", "rest_sdk", "rest_server", "simulate_call", "simulate_load"),
        *("second_reading", "second_reading_rest", "second_reading_sockets"),
    )
}
# Who asks for one of these has processes of its own.
WITH_PROCESSES = {"on_sqlite", "on_postgres", "demo_home", "demo_database", "chromium"}
# Where tests wait for their processes more than they compute.
SINGLY = {"tests", "tests/chaos", "tests/serving"}
STARTS = {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}
OPENS = {"sqlite3.connect", "socket.connect", "socket.bind"}


class Forbidden(AssertionError):
    """A test did what its kind may not do."""


class Guard:
    """What the test that runs may not do; ``servers`` that all tests share are let start."""

    def __init__(self) -> None:
        self.forbidden: frozenset[str] = frozenset()
        self.why = ""

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in self.forbidden:
            raise Forbidden(f"{self.why}: {event} {arguments!r:.200}")

    @contextmanager
    def around(self, item: pytest.Item) -> Iterator[None]:
        """Hold a test to its kind."""
        self.forbidden, self.why = limits(item)
        try:
            yield
        finally:
            self.forbidden = frozenset()

    @contextmanager
    def servers(self) -> Iterator[None]:
        """Let what is shared by all tests start, whoever is the first to need it."""
        before, self.forbidden = self.forbidden, frozenset()
        try:
            yield
        finally:
            self.forbidden = before


GUARD = Guard()
sys.addaudithook(GUARD.watch)


def limits(item: pytest.Item) -> tuple[frozenset[str], str]:
    """Return what a test may not do, and why."""
    if item.get_closest_marker("process"):
        return frozenset(), ""
    if item.get_closest_marker("core"):
        return frozenset(STARTS | OPENS), "a test of the core starts no process and opens no database and no connection"
    return frozenset(STARTS), "a test that starts a process is marked with pytest.mark.process"


def mark(item: pytest.Item) -> None:
    """Mark a test with its kind."""
    if item.path.parent == TESTS / "chaos":
        item.add_marker("chaos")
        item.add_marker("process")
    if WITH_PROCESSES & set(getattr(item, "fixturenames", ())):
        item.add_marker("process")
    if not item.get_closest_marker("process") and is_core(item.path):
        item.add_marker("core")


def is_core(path: Path) -> bool:
    place = path.relative_to(TESTS) if path.is_relative_to(TESTS) else path
    return place.parts[0] in CORE and os.fspath(place) not in NOT_CORE


class Spread(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each process of tests a whole file at a time; where tests start processes of their own, one test.

    All browser tests are one: a start of Chromium costs as much as ten of them. xdist's own way to say so, its mark
    ``xdist_group``, is lost with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        folder = os.fspath(file.parent)
        if folder == "tests/browser":
            return folder
        return nodeid if folder in SINGLY else os.fspath(file)


def longest_first(items: list[pytest.Item]) -> None:
    """Begin with what takes longest in one piece: a process that did it last would keep the others waiting."""
    items.sort(key=lambda item: not {"chromium", "chaos"} & {*item.keywords, *getattr(item, "fixturenames", ())})
