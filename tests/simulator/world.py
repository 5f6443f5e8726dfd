"""Knows a server in simulated time: it answers what the platform's rules ask for, by script."""

from __future__ import annotations

import heapq
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from callflows.simulator.account import APPLICATION, Account, Number, application
from callflows.simulator.call import Call
from callflows.simulator.caller import Caller, Press
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
    Said,
    Send,
)
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour, behaviour_of
from callflows.simulator.platform import Platform
from callflows.simulator.sound import Sound, Voice
from tests import dates

PAYLOADS = Path(__file__).parent.parent / "payloads"
NUMBER = "442079460000"
CALLER = "447700900111"
CALLEE = "447700900222"
PHONE = {"type": "phone", "number": CALLEE}
LATENCY = 0.01
BEGAN = dates.example(1.104)
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


def connect(endpoint: Any = None, **options: Any) -> dict[str, Any]:
    """A connect to somebody."""
    return {"action": "connect", "from": NUMBER, "endpoint": [endpoint or PHONE], **options}


def shape(body: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a payload with their types, in no order."""
    return {key: type(value).__name__ for key, value in body.items()}


def echo(message: str | bytes) -> list[str | bytes | Closed]:
    return [message] if isinstance(message, bytes) else []


# A caller who stays for 5 s.
STAYS = Behaviour(seconds=5.0)


class World:
    """Runs calls to their end, in simulated time.

    ``answer`` and ``fallback`` are documents, or responses as (status, content type, body), or the text of a trouble;
    ``pages`` gives the same by the last part of an address; ``replies`` gives it for events by name, each used once;
    ``app`` is the sockets' application, None refuses it; without ``handshakes`` nobody answers there.
    """

    def __init__(
        self,
        answer: Any = None,
        *,
        replies: Mapping[str, list[Any]] | None = None,
        fallback: Any = None,
        pages: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        app: App | None = echo,
        handshakes: bool = True,
        knobs: Knobs | None = None,
        method: Any = "GET",
        secret: str = "",
    ) -> None:
        self.handshakes, self.app = handshakes, app
        self.pages = {"answer": answer, "fallback": fallback, **(pages or {})}
        self.replies = {name: list(given) for name, given in (replies or {}).items()}
        self.files = {} if files is None else files
        self.requests: list[Fetch] = []
        self.times: list[float] = []
        self.closes: list[Close] = []
        self.opens: list[Open] = []
        self.sent: list[str | bytes] = []
        self.sent_to: defaultdict[str, list[str | bytes]] = defaultdict(list)
        self.notes: list[Note] = []
        self.sounds: defaultdict[str, Sound] = defaultdict(Sound)
        self._coming: list[tuple[float, int, Input | Callable[[], object]]] = []
        self._count = itertools.count()
        self._now = 0.0
        account = Account(signature_secret=secret)
        account.applications[APPLICATION] = application("http://app.example", method)
        account.applications[APPLICATION].document["capabilities"]["voice"]["signed_callbacks"] = bool(secret)
        account.numbers[NUMBER] = Number(NUMBER, application=APPLICATION)
        self.platform = Platform(BEGAN, knobs, account=account)

    def run(self, who: Caller, method: Any = "GET", knobs: Knobs | None = None) -> Call:
        """Place one call, and run it to its end."""
        if method != "GET":
            self.platform.account.applications[APPLICATION] = application("http://app.example", method)
        if knobs:
            self.platform.knobs = knobs
        call = self.call_in(behaviour_of(who), who.from_)
        self.go()
        return call

    def call_in(self, behaviour: Behaviour | None = None, from_: str = CALLER, **more: Any) -> Call:
        self.call = self.platform.legs[self.platform.call_in(NUMBER, from_, behaviour=behaviour, **more)].call
        return self.call

    def create(self, **body: Any) -> Call:
        """Place a call out, as POST /v1/calls does."""
        whom = {"to": [{"type": "phone", "number": CALLEE}], "from": {"type": "phone", "number": NUMBER}}
        self.call = self.platform.legs[self.platform.create({**whom, **body}, APPLICATION)[0]].call
        return self.call

    def at(self, moment: float, act: Callable[[], object]) -> None:
        """Do something at a moment, as REST does."""
        heapq.heappush(self._coming, (moment, next(self._count), act))

    def tell(self, moment: float, news: Input) -> None:
        """Let a party do something at a moment."""
        heapq.heappush(self._coming, (moment, next(self._count), news))

    def go(self, until: float = float("inf")) -> None:
        """Run until every call is over, or until a moment."""
        self._do(self.platform.advance(self._now))
        while (self._coming or not self.platform.over) and self._now < until:
            news = self._coming[0][0] if self._coming else float("inf")
            self._now = min(news, self.platform.next_time, until)
            assert self._now < 36000, "the calls wait for nothing"
            if news <= min(self.platform.next_time, until):
                _, _, what = heapq.heappop(self._coming)
                if callable(what):
                    self._do(self.platform.advance(self._now))
                    what()
                else:
                    self._do(self.platform.receive(what, self._now))
            self._do(self.platform.advance(self._now))

    @property
    def sound(self) -> Sound:
        """What the last caller heard."""
        return self.sounds[self.call.leg.uuid]

    def events(self, leg: str = "") -> list[dict[str, Any]]:
        """The bodies of the events, in order; ``leg`` is phone, websocket, ..., or a uuid."""
        found = [note for note in self.notes if note.kind == "event" and leg in ("", note.leg, note.uuid)]
        return [dict(note.data["body"]) for note in found]

    def names(self, leg: str = "") -> list[str]:
        return [event_name(body) for body in self.events(leg)]

    def event(self, name: str, leg: str = "") -> dict[str, Any]:
        return next(body for body in self.events(leg) if event_name(body) == name)

    def noted(self, kind: str) -> list[str]:
        return [note.text for note in self.notes if note.kind == kind]

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
                    self.opens.append(effect)
                    if self.handshakes:
                        self._later(Opened(leg) if self.app else NotOpened(leg, "HTTP 403 instead of 101"))
                case Send(leg, message):
                    self._serve(leg, message)
                case Heard(pcm, rate, source, leg, at):
                    self.sounds[leg].add(source, rate, pcm, at)
                case Said(pcm, rate, leg, at):
                    self.sounds[leg].add("room", rate, pcm, at)
                case Close():
                    self.closes.append(effect)
                case Note():
                    self.notes.append(effect)

    def _serve(self, leg: str, message: str | bytes) -> None:
        self.sent.append(message)
        self.sent_to[leg].append(message)
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
        if name in self.pages:
            given = self.pages[name]
            return given.pop(0) if isinstance(given, Series) else given
        waiting = self.replies.get(event_name(fetch.body or fetch.query), [])
        return waiting.pop(0) if waiting else None


class Series(list[Any]):
    """Responses to one webhook, one after the other."""


def run(*document: Any, behaviour: Behaviour = STAYS, **options: Any) -> World:
    """Let one caller hear a document."""
    world = World(list(document), **options)
    world.call_in(behaviour)
    world.go()
    return world
