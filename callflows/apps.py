"""Knows the app to Django."""

from __future__ import annotations

from django.apps import AppConfig


class CallflowsConfig(AppConfig):
    name = "callflows"
    verbose_name = "Callflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from callflows import (
            checks,  # noqa: F401  (registers the system checks once the settings are read)
            endings,  # noqa: F401  (registers how the journal's records of lines are stored)
        )
        from callflows.control import fetching, outgoing, rooms  # noqa: F401  (registers their kinds of jobs)
        from callflows.webhooks import journalled  # noqa: F401  (and those of webhooks)
