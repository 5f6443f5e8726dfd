"""Knows what a socket app is: a function of a line, with settings of its own and outcomes that flows can branch on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from callflows.sockets.line import Line

App = Callable[[Line], Coroutine[Any, Any, str]]


class Settings(BaseModel):
    """What an operator chooses for an app; a field whose name ends in ``prompt`` is the id of an audio prompt."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class SocketApp:
    """One app: its name in flows, what it is for, what it runs, and the named outcomes with which it can end."""

    name: str
    label: str
    run: App
    outcomes: tuple[str, ...]
    settings: type[Settings] = Settings
    # Frames that may wait unplayed at Vonage.
    lead: int = 50
