"""Knows how an application of ours becomes an account that may ask Vonage, within the rates of all our processes."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from callflows.models import Application, Call, Pace, TimelineEntry
from callflows.prefix import prefix
from callflows.vonage.account import Account, VonageError
from callflows.vonage.client import Client
from callflows.vonage.pace import MOST_SECONDS, Limit, Reserve

Kind = TimelineEntry.Kind


def account_of(application: Application | None) -> Account:
    """Return how the API knows an application. Raises VonageError when there is none, or its key cannot be read."""
    if application is None:
        raise VonageError("the call belongs to no application: give its number one, and calls can be controlled")
    return Account(
        application.application_id,
        private_key(application.private_key_variable),
        application.api_host,
        tuple(settings.TRUSTED_ORIGINS),
    )


def private_key(variable: str) -> str:
    """Return the PEM that an environment variable holds, or that the file holds which ``NAME_FILE`` names.

    Empty when neither is set. Raises VonageError when the file cannot be read.
    """
    if not variable:
        return ""
    if text := os.environ.get(variable, ""):
        # Where a variable can hold no line ends, they are written as \n.
        return text.replace("\\n", "\n")
    path = os.environ.get(f"{variable}_FILE", "")
    try:
        return Path(path).read_text(encoding="ascii") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise VonageError(f"the private key cannot be read, {variable}_FILE names {path!r}: {error}") from None


def client_of(call: Call, most_wait: float = MOST_SECONDS) -> Client:
    """Return the API as the call's application sees it, at the host that holds the call. Raises VonageError."""
    account = account_of(call.application)
    if call.region_url and not account.trusts(call.region_url):
        _tell_of_host(call)
    return Client(account, reserve(account), call.region_url, most_wait)


def client_for(application: Application | None) -> Client:
    """Return the API as an application sees it, at its own host. Raises VonageError."""
    account = account_of(application)
    return Client(account, reserve(account))


def reserve(account: Account) -> Reserve:
    """Return what keeps the rates of an application, in the database that all our processes share."""

    def take(limit: Limit, most: float) -> float | None:
        return Pace.objects.reserve(f"{account.application_id}:{limit.name}", limit.interval, most)

    return take


def _tell_of_host(call: Call) -> None:
    """Say once in a call that its host was not believed: else its legs are looked for in vain without a word."""
    text = f"The host {call.region_url[:200]} is none of Vonage's over https: the application's own is asked instead"
    if not call.timeline.filter(name="host").exists():
        call.note(Kind.PROBLEM, text, name="host")


def public_url() -> str:
    """Return the address below which Vonage reaches us. Raises VonageError when nobody said."""
    if not settings.PUBLIC_URL:
        raise VonageError("PUBLIC_URL is not set: Vonage has to be told an address at which it reaches us")
    return f"{settings.PUBLIC_URL}{prefix()}"
