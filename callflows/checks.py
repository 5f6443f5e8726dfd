"""Knows what in the settings keeps callers from getting through, or lets others pretend to be Vonage."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

# Vonage recommends at least as much; a shorter one can be found out from one signed webhook.
SECRET_CHARACTERS = 32


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


@register(Tags.security, deploy=True)
def webhooks_are_checked(**kwargs: Any) -> list[CheckMessage]:
    """Without a secret anybody who knows our address can open calls, and tell us what callers did."""
    if settings.SIGNATURE_SECRETS:
        return []
    if settings.UNSIGNED_WEBHOOKS:
        text = "UNSIGNED_WEBHOOKS=1: webhooks are not checked, and anybody can pretend to be Vonage."
        return [Warning(text, hint="Set SIGNATURE_SECRETS instead.", id="callflows.W003")]
    return [
        Error(
            "SIGNATURE_SECRETS is not set, so webhooks are not checked: anybody can pretend to be Vonage.",
            hint="Set SIGNATURE_SECRETS to api_key:secret, the signature secret in the settings of Vonage's dashboard, "
            'and turn signed webhooks on for each application. In a project of your own it is {"api_key": ["secret"]}.',
            id="callflows.E001",
        )
    ]


@register(Tags.security, deploy=True)
def secrets_are_long(**kwargs: Any) -> list[CheckMessage]:
    short = [key for key, secrets in settings.SIGNATURE_SECRETS.items() if min(map(len, secrets)) < SECRET_CHARACTERS]
    return [
        Warning(
            f"SIGNATURE_SECRETS: a secret of account {key} is shorter than {SECRET_CHARACTERS} characters.",
            hint="Set a longer signature secret in Vonage's dashboard; while both are listed here, both are valid.",
            id="callflows.W002",
        )
        for key in short
    ]


@register(Tags.security, deploy=True)
def recordings_are_private(**kwargs: Any) -> list[CheckMessage]:
    """Django lets everybody on the machine read what it stores, unless told otherwise."""
    modes = {
        "FILE_UPLOAD_PERMISSIONS": settings.FILE_UPLOAD_PERMISSIONS,
        "FILE_UPLOAD_DIRECTORY_PERMISSIONS": settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS,
    }
    return [
        Warning(
            f"{name} lets others on this machine read recordings.",
            hint=f"Set it to {0o700 if 'DIRECTORY' in name else 0o600:#o}.",
            id="callflows.W004",
        )
        for name, mode in modes.items()
        if mode is None or mode & 0o077
    ]
