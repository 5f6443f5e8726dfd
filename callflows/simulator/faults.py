"""Knows what can go wrong with a call on the way between Vonage and a server, by name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from callflows.simulator.effects import (
    Close,
    Closed,
    Effect,
    Fetch,
    Fetched,
    Input,
    NotFetched,
    NotOpened,
    Open,
    Opened,
    Pause,
    Send,
)
from callflows.simulator.knobs import Knobs
from callflows.simulator.stage import Asked, Fault, Stage

# Refusals that a fault itself has caused begin their reason so; they are no failure of the server.
MARK = "fault: "


class SlowRequests(Fault):
    """Replies to some requests arrive late; beyond Vonage's patience they never do."""

    def __init__(self, name: str, seconds: float, asked: Asked) -> None:
        self._name, self._seconds, self._asked = name, seconds, asked
        self._slow: dict[int, float] = {}

    def effect(self, stage: Stage, effect: Effect) -> list[Effect]:
        if isinstance(effect, Fetch) and stage.asked(effect) == self._asked:
            if self._seconds >= effect.seconds:
                late = NotFetched(effect.id, "timeout", f"{MARK}{self._name}, no response within {effect.seconds:g} s")
                stage.hear_later(stage.now + effect.seconds - 1e-3, late)
            self._slow[effect.id] = self._seconds
        return [effect]

    def news(self, stage: Stage, news: Input) -> list[Input]:
        if isinstance(news, Fetched | NotFetched) and news.id in self._slow:
            stage.hear_later(stage.now + self._slow.pop(news.id), news)
            return []
        return [news]


class LostRequests(Fault):
    """Some requests never reach the server: the connection is reset. ``each`` 2 loses every second one."""

    def __init__(self, name: str, asked: Asked, each: int = 1) -> None:
        self._name, self._asked, self._each, self._seen = name, asked, each, 0

    def effect(self, stage: Stage, effect: Effect) -> list[Effect]:
        if not isinstance(effect, Fetch) or stage.asked(effect) != self._asked:
            return [effect]
        self._seen += 1
        if self._each > 1 and self._seen % self._each != 1:
            return [effect]
        stage.hear_later(stage.now, NotFetched(effect.id, "reset", f"{MARK}{self._name}, the connection was reset"))
        return []


class Refused(Fault):
    """No socket can be opened."""

    def effect(self, stage: Stage, effect: Effect) -> list[Effect]:
        if not isinstance(effect, Open):
            return [effect]
        stage.hear_later(stage.now, NotOpened(effect.leg, f"{MARK}the connection was refused"))
        return []


class OnSocket(Fault):
    """Something happens to each socket, so many seconds after it has opened."""

    def __init__(self, seconds: float, act: Callable[[Stage, str], list[Effect]]) -> None:
        self._seconds, self._act = seconds, act

    def news(self, stage: Stage, news: Input) -> list[Input]:
        if isinstance(news, Opened):
            leg = news.leg
            stage.later(stage.now + self._seconds, lambda: self._act(stage, leg))
        return [news]


def _die(stage: Stage, leg: str) -> list[Effect]:
    stage.hear_later(stage.now, Closed(leg, 1006, f"{MARK}the connection broke"))
    return [Close(leg, abort=True)]


def _stop_reading(stage: Stage, leg: str) -> list[Effect]:
    return [Pause(leg)]


def _odd_frame(stage: Stage, leg: str) -> list[Effect]:
    return [Send(leg, bytes(641))]


def _rubbish(stage: Stage, leg: str) -> list[Effect]:
    return [Send(leg, "this is no JSON")]


class Frames(Fault):
    """What happens to the frames that leave on each socket, from a moment on: none passes, ``kept`` in ten do, or
    they leave ten at once.
    """

    def __init__(self, seconds: float, kept: int = 0, *, bursts: bool = False) -> None:
        self._seconds, self._kept, self._bursts = seconds, kept, bursts
        self._since: dict[str, float] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._held: defaultdict[str, list[Effect]] = defaultdict(list)

    def news(self, stage: Stage, news: Input) -> list[Input]:
        if isinstance(news, Opened):
            self._since[news.leg] = stage.now
        return [news]

    def effect(self, stage: Stage, effect: Effect) -> list[Effect]:
        if not (isinstance(effect, Send) and isinstance(effect.message, bytes)):
            return [effect]
        leg = effect.leg
        if stage.now < self._since.get(leg, stage.now) + self._seconds:
            return [effect]
        place, self._counts[leg] = self._counts[leg] % 10, self._counts[leg] + 1
        if not self._bursts:
            return [effect] if place < self._kept else []
        held = [*self._held.pop(leg, []), effect]
        if place == 9:
            return held
        self._held[leg] = held
        return []


@dataclass(frozen=True, slots=True)
class Named:
    """One row of the table: ``seconds`` is what a name without @ means; None: it takes none."""

    text: str
    seconds: float | None
    make: Callable[[float], Fault] | None = None
    knobs: Mapping[str, Any] | None = None


FAULTS: dict[str, Named] = {
    "answer-fails": Named("the answer webhook is never reached, so the fallback is asked", None,
                          lambda _: LostRequests("answer-fails", "answer")),
    "answer-lost": Named("the first request to the answer webhook is lost", None,
                         lambda _: LostRequests("answer-lost", "answer", 2)),
    "slow-answer": Named("the answer's reply arrives so late; Vonage waits 5 s", 6.0,
                         lambda seconds: SlowRequests("slow-answer", seconds, "answer")),
    "slow-events": Named("replies to events arrive so late; Vonage waits 10 s", 2.0,
                         lambda seconds: SlowRequests("slow-events", seconds, "event")),
    "events-lost": Named("every second request with an event is lost", None,
                         lambda _: LostRequests("events-lost", "event", 2)),
    "event-twice": Named("every event that wants no answer comes twice", None, knobs={"duplicate_rate": 1.0}),
    "events-shuffled": Named("ringing comes before started", None, knobs={"shuffle_started_ringing": True}),
    "old-payloads": Named("events have the members of 2020 only", None, knobs={"payload_generation": "2020"}),
    "unsigned-first": Named("signed webhooks leave unsigned at first", None, knobs={"unsigned_rate": 1.0}),
    "socket-refused": Named("no socket can be opened", None, lambda _: Refused()),
    "socket-dies": Named("the connection of each socket breaks after so long", 2.0,
                         lambda seconds: OnSocket(seconds, _die)),
    "socket-stalls": Named("after so long no more frames come from Vonage", 2.0,
                           Frames),
    "slow-reader": Named("after so long nothing is read of what the server sends", 2.0,
                         lambda seconds: OnSocket(seconds, _stop_reading)),
    "frames-lost": Named("from then on every tenth frame from Vonage is lost", 0.0,
                         lambda seconds: Frames(seconds, 9)),
    "frames-in-bursts": Named("from then on frames from Vonage come in bursts of ten", 0.0,
                              lambda seconds: Frames(seconds, bursts=True)),
    "odd-frame": Named("after so long one frame of a wrong size arrives", 2.0,
                       lambda seconds: OnSocket(seconds, _odd_frame)),
    "rubbish": Named("after so long a message arrives that is no JSON", 2.0,
                     lambda seconds: OnSocket(seconds, _rubbish)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fault that somebody chose: its name and its seconds."""

    name: str
    seconds: float | None

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """Return the fault of ``event-twice`` or ``socket-dies@2.0``; raises ValueError with what there is."""
        found = re.fullmatch(r"([a-z-]+)(?:@(\d+(?:\.\d+)?))?", text)
        named = FAULTS.get(found[1]) if found else None
        if named is None and text.partition("@")[0] in FAULTS:
            raise ValueError(f"expected seconds behind the @, such as socket-dies@2.0, got {text!r}")
        if found is None or named is None:
            raise ValueError(f"expected one of {', '.join(FAULTS)}, got {text!r}")
        if found[2] and named.seconds is None:
            raise ValueError(f"expected {found[1]} without seconds, got {text!r}")
        return cls(found[1], float(found[2]) if found[2] else named.seconds)


def staged(wanted: tuple[Wanted, ...], knobs: Knobs) -> tuple[tuple[Fault, ...], Knobs]:
    """Return what goes wrong on the line, and the knobs with what goes wrong at the platform."""
    rows = [(each, FAULTS[each.name]) for each in wanted]
    for _, row in rows:
        knobs = replace(knobs, **(row.knobs or {}))
    return tuple(row.make(each.seconds or 0.0) for each, row in rows if row.make), knobs


def listed() -> str:
    """Return the table of faults, for a terminal."""
    names = {name: f"{name}@{row.seconds:g}" if row.seconds is not None else name for name, row in FAULTS.items()}
    return "\n".join(f"  {names[name]:<18} {row.text}" for name, row in FAULTS.items())
