"""Knows Django's `runserver` with the sockets of calls; daphne is imported only when it runs."""

from __future__ import annotations

from typing import Any

from daphne.management.commands.runserver import Command as RunServer
from django.conf import settings

from callflows.keeping import KEEPER
from callflows.payloads.tokens import without_tokens


class Command(RunServer):  # type: ignore[misc]  # daphne has no types
    help = "Serve pages, webhooks and sockets while you develop; `manage.py serve` is for callers."

    default_port = str(settings.PORT)

    def inner_run(self, *args: Any, **options: Any) -> None:
        KEEPER.start()
        super().inner_run(*args, **options)

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """Cut tokens out, in projects whose logs do not: one would let its reader in."""
        super().log_action(protocol, action, {**details, "path": without_tokens(details["path"])})
