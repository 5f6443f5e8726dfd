"""Knows the socket apps that a flow can connect a call to: one line for each."""

from __future__ import annotations

from callflows.sockets import echo, play, record
from callflows.sockets.app import SocketApp

APPS: dict[str, SocketApp] = {app.name: app for app in (echo.APP, play.APP, record.APP)}

# Outcomes that any app can have: our server stopped in mid-call, the app failed, or somebody hung up for the caller.
ANY = ("drained", "error", "hung-up")


def outcomes() -> dict[str, tuple[str, ...]]:
    """Return the named outcomes of each app, as flows may branch on them."""
    return {name: (*app.outcomes, *ANY) for name, app in APPS.items()}
