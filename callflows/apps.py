"""Knows the app to Django."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import django_stubs_ext
from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created

from callflows import defaults

# Before models and pages are imported: lets `ModelAdmin[Call]` run as well as type-check.
django_stubs_ext.monkeypatch()
defaults.fill(settings)


class CallflowsConfig(AppConfig):
    name = "callflows"
    verbose_name = "Callflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        connection_created.connect(keep_private)
        from callflows import (
            checks,  # noqa: F401  (registers the system checks once the settings are read)
            endings,  # noqa: F401  (registers how the journal's records of lines are stored)
            project_checks,  # noqa: F401  (registers what a project needs)
        )
        from callflows.control import fetching, outgoing, rooms  # noqa: F401  (registers their kinds of jobs)
        from callflows.webhooks import journalled  # noqa: F401  (and those of webhooks)


def keep_private(connection: Any, **kwargs: Any) -> None:
    """Let nobody else on this machine read a database of SQLite: its journal files take the mode of it."""
    if connection.vendor != "sqlite" or connection.is_in_memory_db():
        return
    path = Path(connection.settings_dict["NAME"])
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            if each.exists():
                os.chmod(each, mode & 0o700)
