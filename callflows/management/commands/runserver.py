"""Knows Django's `runserver` with the sockets of calls, for developing. Daphne is imported when it runs, not before."""

from __future__ import annotations

from typing import Any

from daphne.management.commands.runserver import Command as RunServer
from django.conf import settings

from callflows.keeping import KEEPER
from callflows.payloads.tokens import without_tokens


class Command(RunServer):  # type: ignore[misc]  # daphne has no types
    help = "Serve pages, webhooks and audio sockets while you develop; `manage.py serve` is the server for callers."

    default_port = str(settings.PORT)

    def inner_run(self, *args: Any, **options: Any) -> None:
        KEEPER.start()
        super().inner_run(*args, **options)

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """A token would let its reader in: it is cut out here too, in a project whose logs keep all."""
        super().log_action(protocol, action, {**details, "path": without_tokens(details["path"])})
