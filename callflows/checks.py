"""Knows what in the settings keeps callers from getting through."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security, deploy=True)
def public_url_is_secure(**kwargs: Any) -> list[CheckMessage]:
    """Vonage opens audio sockets over wss only when our address is https."""
    if settings.PUBLIC_URL and urlsplit(settings.PUBLIC_URL).scheme == "https":
        return []
    got = f"PUBLIC_URL is {settings.PUBLIC_URL!r}" if settings.PUBLIC_URL else "PUBLIC_URL is not set"
    return [
        Warning(
            f"{got}, but callers reach audio sockets over wss.",
            hint="Set PUBLIC_URL to the https address under which Vonage reaches this server.",
            id="callflows.W001",
        )
    ]
