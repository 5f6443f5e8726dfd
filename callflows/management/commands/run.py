"""Knows how to start all of it, as `make run` does."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from callflows.processes import ChildEnded, Processes, prepare
from callflows.serving import CannotListen, check_address


class Command(BaseCommand):
    help = "Migrate, then run the server and the worker until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *, port: int, **options: Any) -> None:
        try:
            check_address("127.0.0.1", port)
            password = prepare()
            with Processes(port, settings.LOG_LEVEL) as processes:
                processes.wait_until_alive()
                self.stdout.write(f"Admin: http://127.0.0.1:{port}/admin/ (user admin, {password}). Ctrl-C ends all.")
                processes.watch()
            self.stdout.write("Stopped.")
        except (CannotListen, ChildEnded) as error:
            raise CommandError(str(error)) from error
