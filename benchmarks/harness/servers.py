"""Knows how to run a server for a measurement: on a core of its own, with data of its own, and calls to open on it."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from benchmarks.harness.load import CLOSE_SECONDS, GRACE_SECONDS, OPEN_SECONDS, Plan, Report, cpu_seconds

BASE_DIR = Path(__file__).resolve().parent.parent.parent
ECHO_NUMBER, CALLER = "447700900001", "447700900999"
SERVERS = ("daphne", "uvicorn")
START_SECONDS = 30
IDLE_SECONDS = 20
# How many answer webhooks are asked at one time, and how often each when the database was busy.
ASKING, ASKS = 4, 3


class BenchError(RuntimeError):
    """A measurement that could not be made: says why."""


def allow_many_sockets() -> None:
    """Let our processes open a socket for each call: the usual soft limit is 1,024 files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536) if hard > 0 else 65_536, hard))


def guarded(name: str, work: Callable[[], int | None]) -> int:
    """Do a measurement's work; return the exit code, 1 when it could not be measured, which is told."""
    # Ended from outside, we still end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_many_sockets()
    try:
        return work() or 0
    except BenchError as error:
        print(f"benchmarks.{name}: {error}", file=sys.stderr)
        return 1


def of_servers(parser: ArgumentParser) -> Namespace:
    """Parse the options of a measurement of our servers, with those that all such have: which, and where figures go."""
    parser.add_argument("--with", choices=SERVERS, action="append", dest="servers")
    parser.add_argument("--json", type=Path, help="where all figures are written")
    chosen = parser.parse_args()
    chosen.servers = chosen.servers or list(SERVERS)
    return chosen


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores of a measurement: servers have one for themselves, and the load generator another."""

    server: int
    generator: int

    @classmethod
    def choose(cls) -> Cores:
        if not hasattr(os, "sched_setaffinity"):
            raise BenchError("processes can be kept on one core only on Linux: run this there")
        free = sorted(os.sched_getaffinity(0))
        if len(free) < 2:
            raise BenchError(f"expected two cores, got {len(free)}: the load generator would take the server's time")
        return cls(free[0], free[1])


def kept_on(core: int) -> Callable[[], None]:
    """Return what a new process does first, before it starts any thread."""
    return lambda: os.sched_setaffinity(0, {core})


@dataclass(frozen=True, slots=True)
class Site:
    """A data folder with the demo's content, and the environment of all processes that use it."""

    home: Path
    environment: dict[str, str]

    def run(self, *command: str) -> None:
        """Run one of our commands to its end."""
        done = subprocess.run(
            [sys.executable, *command], cwd=BASE_DIR, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-2000:]}")


@contextmanager
def new_site(most_calls: int, **more: str) -> Iterator[Site]:
    """Make a site in a temporary folder; of settings of ours none but ``more`` count in it."""
    with tempfile.TemporaryDirectory(prefix="callflows-bench-") as folder:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        ours = {"DATA_DIR": folder, "MAX_LINES": str(most_calls + 10), "LOG_LEVEL": "WARNING"}
        site = Site(Path(folder), {**kept, **ours, **more})
        site.run("manage.py", "migrate", "--verbosity", "0")
        site.run("manage.py", "demo_content")
        yield site


@dataclass(frozen=True, slots=True)
class Server:
    """One server process; ``asks`` is whether its sockets are let in only with an address from the answer webhook."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    asks: bool
    host: str = "127.0.0.1"

    def wait_until_it_answers(self) -> None:
        self._wait(self._answers, START_SECONDS, "it answers /healthz")

    def wait_until_idle(self) -> None:
        """Wait until what the last calls left to do is done, their last words in the database included."""
        self._wait(lambda: self._share(0.25) < 0.1, IDLE_SECONDS, "it has nothing to do")

    def paths(self, calls: int, number: str = ECHO_NUMBER) -> list[str]:
        """Return where so many calls to ``number`` open their sockets, as real answers say it."""
        if not self.asks:
            return ["/socket/echo"] * calls
        with ThreadPoolExecutor(ASKING) as pool:
            return list(pool.map(self._path, [number] * calls))

    def _path(self, number: str) -> str:
        for _ in range(ASKS):
            ncco = self._ncco(number)
            for action in ncco:
                if action["action"] == "connect":
                    return urlsplit(str(action["endpoint"][0]["uri"])).path
        raise BenchError(
            f"expected an NCCO that connects {number} to a socket, got {ncco}; the server said:\n{self.said()}"
        )

    def _ncco(self, number: str) -> list[dict[str, Any]]:
        query = urlencode({"to": number, "from": CALLER, "uuid": uuid4(), "conversation_uuid": f"CON-{uuid4()}"})
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request("GET", f"/webhooks/answer?{query}")
            ncco: list[dict[str, Any]] = json.load(connection.getresponse())
        finally:
            connection.close()
        return ncco

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            # It does not listen yet: not a hundred questions in a millisecond.
            time.sleep(0.05)
            return False
        finally:
            connection.close()

    def _share(self, seconds: float) -> float:
        before = cpu_seconds(self.process.pid)
        time.sleep(seconds)
        return (cpu_seconds(self.process.pid) - before) / seconds

    def _wait(self, is_so: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if (code := self.process.poll()) is not None:
                raise BenchError(f"waited until {what}, but the server ended with {code}:\n{self.said()}")
            if time.monotonic() > deadline:
                raise BenchError(f"waited {seconds} s in vain until {what}; the server said:\n{self.said()}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def started(
    site: Site, name: str, command: list[str], core: int, asks: bool, host: str = "127.0.0.1"
) -> Iterator[Server]:
    """Run a server on one core; end it when the block is left.

    ``command`` is Python's, unless it begins with the path of a program; the port is added as its last argument.
    ``host`` is where it listens.
    """
    port = free_port()
    log = site.home / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*([] if os.path.isabs(command[0]) else [sys.executable]), *command, str(port)],
            cwd=BASE_DIR,
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=kept_on(core),
        )
    try:
        server = Server(process, port, log, asks, host)
        server.wait_until_it_answers()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measure(site: Site, server: Server, cores: Cores, calls: int, seconds: float, discard: float) -> Report:
    """Put so many calls on the server from a process on the other core; return what that one reports."""
    plan = json.dumps(asdict(Plan(server.port, server.process.pid, server.paths(calls), seconds, discard)))
    command = [sys.executable, "-m", "benchmarks.harness.load"]
    return Report(**reported(command, plan, site, server, cores, load_seconds(seconds)))


def load_seconds(seconds: float) -> float:
    """Return how long a load may take that measures for so many seconds."""
    return OPEN_SECONDS + seconds + GRACE_SECONDS + CLOSE_SECONDS + 30


def reported(
    command: Sequence[str | Path], plan: str, site: Site, server: Server, cores: Cores, seconds: float
) -> dict[str, Any]:
    """Run a load on the other core, at most so long; return the object that it prints, once the server is idle."""
    done = subprocess.run(
        command,
        cwd=BASE_DIR,
        env=site.environment,
        input=plan,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        preexec_fn=kept_on(cores.generator),
    )
    if done.returncode:
        raise BenchError(f"{done.stderr.strip()[-2000:]}\nThe server said:\n{server.said()}")
    server.wait_until_idle()
    found: dict[str, Any] = json.loads(done.stdout)
    return found
