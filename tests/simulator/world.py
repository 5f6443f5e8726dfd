"""Knows a server in simulated time: it answers what a call's rules ask for, by script."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from callflows.simulator.call import Call
from callflows.simulator.caller import Caller, Press
from callflows.simulator.courier import Site
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
    Received,
    Send,
)
from callflows.simulator.sound import Sound, Voice
from callflows.wire.platform import Knobs

PAYLOADS = Path(__file__).parent.parent / "payloads"
NUMBER = "442079460000"
CALLER = "447700900111"
LATENCY = 0.01
BEGAN = datetime(2026, 3, 2, 9, 15, 1, 104000, UTC)
JSON = "application/json"

# What an application does with a message of its socket: answers, as messages or as an end.
App = Callable[[str | bytes], list[str | bytes | Closed]]
Document = list[dict[str, Any]]


def payload(path: str) -> Any:
    return json.loads((PAYLOADS / f"{path}.json").read_text())


def quiet() -> Voice:
    return Voice.of(np.zeros(0, np.float32), 8000)


def caller(*presses: str, seconds: float = 8.0, voice: Voice | None = None) -> Caller:
    keys = tuple(key for press in presses for key in Press.parse(press))
    return Caller(NUMBER, CALLER, voice or quiet(), keys, seconds)


def socket(**options: Any) -> dict[str, Any]:
    """A connect to a WebSocket; ``headers`` are the endpoint's."""
    endpoint = {
        "type": "websocket",
        "uri": "ws://app.example/socket/1",
        "content-type": "audio/l16;rate=16000",
        "headers": options.pop("headers", {}),
    }
    return {"action": "connect", "eventType": "synchronous", "endpoint": [endpoint], **options}


def echo(message: str | bytes) -> list[str | bytes | Closed]:
    return [message] if isinstance(message, bytes) else []


class World:
    """Runs one call to its end.

    ``answer`` and ``fallback`` are documents, or responses as (status, content type, body), or the text of a trouble;
    ``replies`` gives the same for events by name, each used once; ``app`` is the socket's application, None refuses it;
    without ``handshakes`` nobody answers there.
    """

    def __init__(
        self,
        answer: Any,
        *,
        replies: Mapping[str, list[Any]] | None = None,
        fallback: Any = None,
        files: Mapping[str, bytes] | None = None,
        app: App | None = echo,
        handshakes: bool = True,
    ) -> None:
        self.handshakes = handshakes
        self.answer, self.fallback, self.app = answer, fallback, app
        self.replies = {name: list(given) for name, given in (replies or {}).items()}
        self.files = files or {}
        self.requests: list[Fetch] = []
        self.times: list[float] = []
        self.closes: list[Close] = []
        self.sent: list[str | bytes] = []
        self.notes: list[Note] = []
        self.sound = Sound()
        self._coming: list[tuple[float, int, Input]] = []
        self._count = itertools.count()
        self._now = 0.0

    def run(self, who: Caller, method: Any = "GET", knobs: Knobs | None = None) -> Call:
        self.call = Call(who, Site.at("http://app.example", method), BEGAN, knobs or Knobs())
        self._do(self.call.advance(0.0))
        while not self.call.over:
            news = self._coming[0][0] if self._coming else float("inf")
            self._now = min(news, self.call.next_time)
            assert self._now < 36000, "the call waits for nothing"
            if news <= self.call.next_time:
                _, _, what = heapq.heappop(self._coming)
                self._do(self.call.receive(what, self._now))
            else:
                self._do(self.call.advance(self._now))
        return self.call

    def events(self, leg: str = "") -> list[dict[str, Any]]:
        """The bodies of the events, in order; ``leg`` is phone or websocket."""
        return [dict(note.data["body"]) for note in self.notes if note.kind == "event" and (not leg or note.leg == leg)]

    def names(self, leg: str = "") -> list[str]:
        return [event_name(body) for body in self.events(leg)]

    def _later(self, news: Input, seconds: float = LATENCY) -> None:
        heapq.heappush(self._coming, (self._now + seconds, next(self._count), news))

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Fetch():
                    self.requests.append(effect)
                    self.times.append(self._now)
                    self._respond(effect)
                case Open(leg):
                    if self.handshakes:
                        self._later(Opened(leg) if self.app else NotOpened(leg, "HTTP 403 instead of 101"))
                case Send(leg, message):
                    self._serve(leg, message)
                case Heard(pcm, rate, source):
                    self.sound.add(source, rate, pcm)
                case Close():
                    self.closes.append(effect)
                case Note():
                    self.notes.append(effect)

    def _serve(self, leg: str, message: str | bytes) -> None:
        self.sent.append(message)
        for answer in self.app(message) if self.app else []:
            self._later(Closed(leg, answer.code) if isinstance(answer, Closed) else Received(leg, answer))

    def _respond(self, fetch: Fetch) -> None:
        given = self._given(fetch)
        match given:
            case "hangs":
                return
            case str():
                self._later(NotFetched(fetch.id, given, given))  # type: ignore[arg-type]  # one of Trouble's words
            case (int() as status, str() as kind, bytes() as body):
                self._later(Fetched(fetch.id, status, kind, body))
            case None:
                self._later(Fetched(fetch.id, 204, "", b""))
            case _:
                self._later(Fetched(fetch.id, 200, JSON, json.dumps(given).encode()))

    def _given(self, fetch: Fetch) -> Any:
        name = urlsplit(fetch.url).path.rpartition("/")[2]
        if fetch.url in self.files:
            return (200, "audio/wav", self.files[fetch.url])
        if name in ("answer", "fallback"):
            given = self.answer if name == "answer" else self.fallback
            return given.pop(0) if isinstance(given, Series) else given
        waiting = self.replies.get(event_name(fetch.body or fetch.query), [])
        return waiting.pop(0) if waiting else None


class Series(list[Any]):
    """Responses to one webhook, one after the other."""
