"""Knows the demo: everything started, demo content loaded, and one call placed against ourselves."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from callflows.models import PhoneNumber
from callflows.processes import ChildEnded, Processes, prepare
from callflows.serving import CannotListen, check_address

# The menu: it talks, listens for a digit, and 1 leads on to a socket that echoes.
DEMO_CALL = ("--to", "447700900003", "--press", "1@1.5", "--seconds", "9")
CALL_SECONDS = 90

WHAT_NOW = """
Callflows is running at http://127.0.0.1:{port}, until Ctrl-C.

  Admin         http://127.0.0.1:{port}/admin/
                user admin, {password}
  Calls         http://127.0.0.1:{port}/admin/callflows/call/
  Flows         http://127.0.0.1:{port}/admin/callflows/callflow/
  Another call  .venv/bin/python manage.py simulate_call{server} --to 447700900001 --seconds 5
  Its options   .venv/bin/python manage.py simulate_call --help
  Numbers       {numbers}
"""


class Command(BaseCommand):
    help = "Migrate, load the demo's content, run the server and the worker, place one call; until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *, port: int, **options: Any) -> None:
        try:
            check_address("127.0.0.1", port)
            password = prepare()
            call_command("demo_content", verbosity=0)
            # Each request in the log would stand between the lines of the call's timeline.
            with Processes(port, "WARNING" if settings.LOG_LEVEL == "INFO" else settings.LOG_LEVEL) as processes:
                processes.wait_until_alive()
                self.call(port)
                self.stdout.write(what_now(port, password))
                processes.watch()
            self.stdout.write("Stopped.")
        except (CannotListen, ChildEnded) as error:
            raise CommandError(str(error)) from error

    def call(self, port: int) -> None:
        """Place the demo call and print it as it happens; its failure is told, and no more."""
        self.stdout.write(f"A caller dials {DEMO_CALL[1]}:\n")
        self.stdout.flush()
        command = [sys.executable, "manage.py", "simulate_call", "--server", f"http://127.0.0.1:{port}", *DEMO_CALL]
        try:
            done = subprocess.run(command, cwd=settings.BASE_DIR, timeout=CALL_SECONDS, check=False)
            failed = f"exit code {done.returncode}, the reason stands above" if done.returncode else ""
        except subprocess.TimeoutExpired:
            failed = f"it did not end within {CALL_SECONDS} s"
        if failed:
            self.stderr.write(f"The demo call failed: {failed}. The server goes on.")


def what_now(port: int, password: str) -> str:
    numbers = "\n                ".join(str(number) for number in PhoneNumber.objects.all())
    server = "" if port == 8000 else f" --server http://127.0.0.1:{port}"
    return WHAT_NOW.format(port=port, password=password, server=server, numbers=numbers)
