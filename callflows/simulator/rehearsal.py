"""Knows how to play a scenario in no time: without a server, against the scenario's own table of replies."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from callflows.audio.format import RATES, Format
from callflows.simulator.account import application
from callflows.simulator.delivery import event_name
from callflows.simulator.effects import (
    Close,
    Closed,
    Effect,
    Fetch,
    Fetched,
    Heard,
    Input,
    Note,
    NotFetched,
    NotOpened,
    Open,
    Opened,
    Pause,
    Received,
    Said,
    Send,
)
from callflows.simulator.scenario import Scenario, ScenarioError, Server
from callflows.simulator.scenario_play import Play, Seen
from callflows.simulator.stage import Stage

BEGAN = datetime(2026, 3, 2, 9, 15, 1, tzinfo=UTC)
BASE = "http://callflows.example"
# How long a reply takes, and a scenario that waits for nothing.
LATENCY = 0.01
LONGEST_SECONDS = 36000.0
# As our own server, its echo takes a frame of a wrong size for silence.
_FRAMES = {Format(rate).frame_bytes for rate in RATES}
SOCKETS = ("echo", "silent", "refuses", "closes", "never")


def rehearse(scenario: Scenario, watch: Callable[[Seen], None] = lambda seen: None) -> Play:
    """Play a scenario in simulated time; raises ScenarioError when it has no `server`, or never ends."""
    app = application(BASE, "GET")
    app.document["capabilities"]["voice"]["signed_callbacks"] = scenario.signed
    play = Play(scenario, app, BEGAN)

    def seen(what: Seen) -> None:
        play(what)
        watch(what)

    Rehearsal(play.stage, scenario.server, seen).run()
    return play


class Rehearsal:
    """Runs a stage in simulated time; ``server`` answers what it asks. Raises ScenarioError when there is none."""

    def __init__(self, stage: Stage, server: Server | None, watch: Callable[[Seen], None]) -> None:
        if server is None:
            raise ScenarioError(
                "the scenario has no `server`, a table of replies: without --rehearse it is played to a real one"
            )
        if server.socket not in SOCKETS:
            raise ScenarioError(f"server.socket: expected one of {', '.join(SOCKETS)}, got {server.socket!r}")
        self._stage, self._server, self._watch = stage, server, watch
        self._events = {name: list(replies) for name, replies in server.events.items()}
        self._coming: list[tuple[float, int, Input]] = []
        self._count = itertools.count()
        self._deaf: set[str] = set()
        self._now = 0.0

    def run(self) -> None:
        """Run it to its end."""
        stage = self._stage
        self._do(stage.advance(0.0))
        while self._coming or not stage.over:
            news = self._coming[0][0] if self._coming else float("inf")
            self._now = min(news, stage.next_time)
            if self._now > LONGEST_SECONDS:
                raise ScenarioError("expected an end, but the calls wait for nothing: let somebody hang up")
            if news <= stage.next_time:
                self._do(stage.receive(heapq.heappop(self._coming)[2], self._now))
            self._do(stage.advance(self._now))

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Fetch():
                    self._reply(effect)
                case Open(leg):
                    if self._server.socket != "never":
                        refuses = self._server.socket == "refuses"
                        self._later(NotOpened(leg, "HTTP 403 instead of 101") if refuses else Opened(leg))
                case Send(leg, message):
                    self._serve(leg, message)
                case Pause(leg) | Close(leg):
                    self._deaf.add(leg)
                case Note() | Heard() | Said():
                    self._watch(effect)

    def _serve(self, leg: str, message: str | bytes) -> None:
        """Do what the application does with a message."""
        if leg in self._deaf:
            return
        if self._server.socket == "echo" and isinstance(message, bytes) and len(message) in _FRAMES:
            self._later(Received(leg, message))
        elif self._server.socket == "closes":
            self._deaf.add(leg)
            self._later(Closed(leg, 1000))

    def _reply(self, fetch: Fetch) -> None:
        asked = self._stage.asked(fetch)
        given: Any = None
        if asked in ("answer", "fallback"):
            given = self._server.answer if asked == "answer" else self._server.fallback
        elif asked == "event":
            waiting = self._events.get(event_name(fetch.body or fetch.query), [])
            given = waiting.pop(0) if waiting else None
        elif asked == "file":
            text = f"{fetch.url} is no address of this scenario: name it under `urls`"
            return self._later(NotFetched(fetch.id, "unreachable", text))
        content = (200, "application/json", json.dumps(given).encode()) if given is not None else (204, "", b"")
        self._later(Fetched(fetch.id, *content))

    def _later(self, news: Input) -> None:
        heapq.heappush(self._coming, (self._now + LATENCY, next(self._count), news))
