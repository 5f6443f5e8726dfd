"""Knows the socket apps that a flow can connect a call to: every module of this package that has an ``APP``."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from callflows import sockets
from callflows.sockets.app import ANY, SocketApp


def _found() -> dict[str, SocketApp]:
    found: dict[str, SocketApp] = {}
    for module in pkgutil.iter_modules(sockets.__path__):
        app = getattr(import_module(f"{sockets.__name__}.{module.name}"), "APP", None)
        if isinstance(app, SocketApp):
            if app.name in found:
                raise ImportError(f"two socket apps are called {app.name!r}: rename the one in {module.name}.py")
            found[app.name] = app
    return found


APPS: dict[str, SocketApp] = _found()


def joinable() -> dict[str, SocketApp]:
    """Return the apps that can be called into a running call: those to which no more than a prompt must be told."""
    return {name: app for name, app in APPS.items() if app.required <= {"prompt"}}


def outcomes() -> dict[str, tuple[str, ...]]:
    """Return the named outcomes of each app, as flows may branch on them.

    One in braces, ``{choices}``, stands for those that operators name: the values of that setting.
    """
    return {name: (*app.outcomes, *((f"{{{app.chosen}}}",) if app.chosen else ()), *ANY) for name, app in APPS.items()}
