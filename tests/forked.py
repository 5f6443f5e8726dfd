"""Knows how our processes begin quickly: forked from one that has imported what all of them import.

A process of manage.py takes 1.3 s of processor before it does anything: 1 s of that are imports of other people's
packages and of our pure core, which read no settings. They are done once, here, for each process of tests; all else
begins in the forked process as in any other. The demo's test, the soak and the benchmarks start theirs as people do.

Run as ``python -m tests.forked`` it takes one line of JSON for each process, and answers with its number.
"""

from __future__ import annotations

import atexit
import faulthandler
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from project.bootstrap import ROOT

# What needs settings, or chooses an event loop for the process, is not among them.
IMPORTED = (
    *("asyncio", "concurrent.futures.thread", "http.cookies", "logging.config", "sqlite3", "uuid"),
    *("asgiref.server", "autobahn.websocket.protocol", "channels.db", "channels.layers", "channels_redis.core"),
    *("csp.middleware", "dj_database_url", "django.contrib.admin", "django.contrib.auth.hashers"),
    *("django.core.handlers.asgi", "django.core.management.commands.check", "django.db.backends.sqlite3.base"),
    *("django.template.loader_tags", "django.test.signals", "django_stubs_ext", "httpx2", "jwt", "numpy"),
    *("psycopg", "pydantic", "pydantic_settings", "redis.asyncio", "soundfile", "soxr", "sqlparse"),
    *("twisted.internet.ssl", "twisted.web.http", "uvloop", "websockets", "whitenoise.middleware", "yaml"),
    *("callflows.audio.files", "callflows.ncco.check", "callflows.payloads.events", "callflows.wire.connection"),
)
# Linux alone tells a process that is not the parent when one ends.
AVAILABLE = hasattr(os, "pidfd_open")


def parent() -> list[str]:
    """Fork a process for each request; return in each of them, with its arguments."""
    for name in IMPORTED:
        importlib.import_module(name)
    if threading.active_count() > 1 or "twisted.internet.reactor" in sys.modules:
        raise AssertionError("expected neither a thread nor an event loop before the first process")
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            reply = reap(request["wait"])
        elif child := os.fork():
            reply = (child, 0)
        else:
            become(request)
            return list(request["arguments"])
        print(*reply, flush=True)
    sys.exit()


def reap(pid: int) -> tuple[int, int]:
    """Return a process that has ended and how, or zeros: it goes on, or another thread of the tests was told of it."""
    try:
        return os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0, 0


def become(request: dict[str, Any]) -> None:
    """Make this forked process what a started one is."""
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    told = os.O_WRONLY | os.O_APPEND
    opened = (request["input"], os.O_RDONLY), (request["out"], told), (request["error"], told)
    for target, (path, how) in enumerate(opened):
        file = os.open(path, how)
        os.dup2(file, target)
        os.close(file)
    faulthandler.enable()


class Forked(subprocess.Popen[bytes]):
    """A forked process, with what tests use of ``subprocess.Popen``: its parent is asked how it ended."""

    def __init__(
        self, arguments: Sequence[str], environment: dict[str, str], out: Path, error: Path, stdin: int
    ) -> None:
        sys.audit("subprocess.Popen", arguments[0], arguments, None, environment)
        self.args, self.stdin, self.stdout, self.stderr = arguments, None, None, None
        self.returncode: int | None = None
        request = {"arguments": arguments, "environment": environment, "out": str(out), "error": str(error)}
        with tempfile.TemporaryDirectory() as folder:
            if piped := stdin == subprocess.PIPE:
                os.mkfifo(pipe := os.path.join(folder, "stdin"))
            self.pid = ask({**request, "input": pipe if piped else os.devnull})[0]
            self._ended = os.pidfd_open(self.pid)
            if piped:
                # Waits until the process has opened its end.
                self.stdin = os.fdopen(os.open(pipe, os.O_WRONLY), "wb")

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = ask({"wait": self.pid})
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
                os.close(self._ended)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._ended, select.POLLIN)
            waiting.poll(None if timeout is None else timeout * 1000)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __del__(self) -> None:
        """Unlike Popen's: the parent reaps it, whoever forgets it."""


@functools.cache
def _parent() -> subprocess.Popen[bytes]:
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.forked"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    # Waited for, or nobody would count what they all took.
    atexit.register(parent.communicate)
    return parent


_LOCK = threading.Lock()


def ask(request: dict[str, Any]) -> tuple[int, int]:
    with _LOCK:
        parent = _parent()
        assert parent.stdin
        assert parent.stdout
        parent.stdin.write(json.dumps(request).encode() + b"\n")
        parent.stdin.flush()
        first, second = parent.stdout.readline().split()
        return int(first), int(second)


if __name__ == "__main__":
    sys.argv = parent()
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
