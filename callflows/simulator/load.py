"""Knows many calls at once: when each starts, what is measured of them, and what that comes to."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from callflows.simulator.account import Application
from callflows.simulator.effects import Effect, Fetch, Fetched, Input, Note, NotFetched, Opened, Received
from callflows.simulator.expectation import Came
from callflows.simulator.legs import Leg
from callflows.simulator.platform import NotPossible
from callflows.simulator.scenario import Incoming, Scenario
from callflows.simulator.scenario_checks import check
from callflows.simulator.scenario_play import Seen, Signing, blamed, place_on, set_up
from callflows.simulator.stage import Stage

# Our own work is this late before the numbers say more about us than about the server: one frame.
LATE_SECONDS = 0.02
PROGRESS_SECONDS = 0.5
MANY = 1_000_000
# So many reasons of failures are told.
MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """``most`` calls at once, ``rate`` of them begun in a second, for so many ``seconds``."""

    most: int
    rate: float
    seconds: float


@dataclass(eq=False, slots=True)
class Numbers:
    """What was measured, in seconds."""

    answers: list[float] = field(default_factory=list)
    first_sounds: list[float] = field(default_factory=list)
    spacings: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)


class Measured(Stage):
    """A stage that measures its server: answers, first sounds, the spacing of frames, and its own lateness."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.numbers = Numbers()
        self._asking: dict[int, float] = {}
        self._opened: dict[str, float] = {}
        self._arrived: dict[str, float] = {}

    def advance(self, now: float) -> list[Effect]:
        due = self.next_time
        if due < now:
            self.numbers.lateness.append(now - due)
        effects = super().advance(now)
        for each in effects:
            if isinstance(each, Fetch) and self.asked(each) == "answer":
                self._asking[each.id] = now
        return effects

    def receive(self, news: Input, now: float) -> list[Effect]:
        match news:
            case Fetched(id) if id in self._asking:
                self.numbers.answers.append(now - self._asking.pop(id))
            case NotFetched(id):
                self._asking.pop(id, None)
            case Opened(leg):
                self._opened[leg] = now
            case Received(leg, bytes()):
                if leg in self._arrived:
                    self.numbers.spacings.append(now - self._arrived[leg])
                elif leg in self._opened:
                    self.numbers.first_sounds.append(now - self._opened[leg])
                self._arrived[leg] = now
        return super().receive(news, now)


class Load:
    """Starts the calls of a scenario again and again, as ``plan`` says; tell it what is seen.

    ``progress`` is told twice a second how far it is, and of its end.
    """

    def __init__(
        self,
        plan: Plan,
        scenario: Scenario,
        application: Application,
        began: datetime,
        signing: Signing | None = None,
        progress: Callable[[Load], None] = lambda load: None,
    ) -> None:
        # An account may place 3 calls a second, and connect counts; what is measured here is our server.
        scenario = replace(scenario, knobs=replace(scenario.knobs, calls_per_second=MANY))
        self.plan, self.scenario, self._progress = plan, scenario, progress
        self.stage = set_up(Measured, scenario, application, began, signing)
        # The legs of each start of the scenario, and the starts that found no room.
        self.starts: list[list[str]] = []
        self.held_back = self.most_seen = 0
        self._notes: defaultdict[str, list[Note]] = defaultdict(list)
        self._stopped = False
        self.stage.plan(0.0, self._start)
        self.stage.plan(0.0, self._tick)

    def __call__(self, seen: Seen) -> None:
        if isinstance(seen, Note):
            self._notes[seen.uuid].append(seen)

    @property
    def live(self) -> list[Leg]:
        """The first legs of the calls that have not ended."""
        return [call.leg for call in self.stage.calls if not call.ended]

    def stop(self) -> None:
        """Start no more."""
        self._stopped = True

    def _start(self) -> None:
        """Start the scenario once, if there is room, and plan the next start."""
        now, count = self.stage.now, len(self.starts) + self.held_back + 1
        if self._stopped:
            return
        if len(self.live) + len(self.scenario.calls) <= self.plan.most:
            legs: list[str] = []
            self.starts.append(legs)
            for each in self.scenario.calls:
                self.stage.plan(now + each.at, partial(self._place, each, legs))
        else:
            self.held_back += 1
        if (following := count / self.plan.rate) < self.plan.seconds:
            self.stage.plan(following, self._start)

    def _place(self, call: Incoming, legs: list[str]) -> None:
        try:
            legs.append(place_on(self.stage, call))
        except NotPossible as error:
            self.stage.refusals.append(str(error))
        self.most_seen = max(self.most_seen, len(self.live))

    def _tick(self) -> None:
        self._progress(self)
        if self.live or (self.stage.now < self.plan.seconds and not self._stopped):
            self.stage.plan(self.stage.now + PROGRESS_SECONDS, self._tick)

    def failures(self) -> list[str]:
        """Return why starts have failed, the first reason of each."""
        return [why for legs in self.starts if (why := self._failure(legs))]

    def _failure(self, legs: list[str]) -> str:
        if len(legs) < len(self.scenario.calls):
            return "a call could not be placed"
        groups = {self.stage.legs[uuid].call.group for uuid in legs}
        refusals = blamed([text for call in self.stage.calls if call.group in groups for text in call.refusals])
        if refusals:
            return refusals[0]
        of_these = [leg.uuid for leg in self.stage.legs.values() if leg.call.group in groups]
        notes = sorted((note for uuid in of_these for note in self._notes[uuid]), key=lambda note: note.t)
        # What was heard is not kept: two hundred calls are 6 MB a second.
        expect = tuple(each for each in self.scenario.expect if "heard" not in type(each).model_fields)
        if found := check(expect, Came(self.stage, legs, notes), ()):
            return str(found[0])
        unanswered = [uuid for uuid in legs if self.stage.legs[uuid].answered is None]
        return "a call was not answered" if unanswered and not expect else ""

    def report(self, busy: float) -> Report:
        """Return what it comes to; ``busy`` is the part of the time in which our own processor worked."""
        numbers, failures = self.stage.numbers, self.failures()
        calls = sum(map(len, self.starts))
        bad, lost = (sum(getattr(call, name) for call in self.stage.calls) for name in ("bad", "lost"))
        return Report(
            calls,
            self.most_seen,
            self.held_back,
            len(failures),
            tuple(dict.fromkeys(failures))[:MOST_REASONS],
            Spread.of(numbers.answers),
            Spread.of(numbers.first_sounds),
            Spread.of(numbers.spacings),
            Spread.of(numbers.lateness),
            bad,
            lost,
            busy,
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the end of many numbers, in milliseconds; None where there are none."""

    count: int
    p50: float | None
    p99: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        if not seconds:
            return cls(0, None, None)
        p50, p99 = (round(float(each) * 1000, 2) for each in np.percentile(seconds, [50, 99]))
        return cls(len(seconds), p50, p99)

    def __str__(self) -> str:
        if self.p50 is None:
            return "none"
        return f"p50 {self.p50:8.1f} ms   p99 {self.p99:8.1f} ms   ({self.count:,})"


@dataclass(frozen=True, slots=True)
class Report:
    """What a load came to."""

    calls: int
    most_at_once: int
    held_back: int
    failed: int
    reasons: tuple[str, ...]
    answer: Spread
    first_sound: Spread
    spacing: Spread
    own_lateness: Spread
    bad: int
    lost: int
    busy: float

    @property
    def bottleneck(self) -> str:
        """Why the numbers say more about this program than about the server; "" when they do not."""
        late = self.own_lateness.p99 or 0.0
        if late > LATE_SECONDS * 1000:
            return f"this program was the bottleneck itself: its own work was {late:.0f} ms late (p99)"
        if self.busy > 0.9:
            return f"this program was the bottleneck itself: it took {self.busy:.0%} of a processor"
        return ""

    def beyond(self, limits: Limits) -> list[str]:
        """Return which limits were not kept."""
        found = {
            "answer, p99 in ms": (self.answer.p99, limits.answer),
            "first sound, p99 in ms": (self.first_sound.p99, limits.first_sound),
            "frame spacing, p99 in ms": (self.spacing.p99, limits.spacing),
            "bad or lost frames": (self.bad + self.lost, limits.frames),
            "failed calls": (self.failed, limits.failed),
        }
        return [
            f"{name}: expected at most {most:g}, got {'none' if value is None else f'{value:g}'}"
            for name, (value, most) in found.items()
            if most is not None and (math.inf if value is None else value) > most
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `simulate_load --json` prints; times in milliseconds."""
        spreads = ("answer", "first_sound", "spacing", "own_lateness")
        plain = ("calls", "most_at_once", "held_back", "failed", "bad", "lost")
        return {
            **{name: getattr(self, name) for name in plain},
            **{name: {key: getattr(getattr(self, name), key) for key in ("count", "p50", "p99")} for name in spreads},
            "reasons": list(self.reasons),
            "busy": round(self.busy, 3),
            "bottleneck": self.bottleneck,
        }

    def __str__(self) -> str:
        failed = "".join(f"\n                {each}" for each in self.reasons)
        return (
            f"Calls           {self.calls}, at most {self.most_at_once} at once, {self.held_back} starts held back\n"
            f"Failed          {self.failed}{failed}\n"
            f"Answer          {self.answer}\n"
            f"First sound     {self.first_sound}\n"
            f"Frame spacing   {self.spacing}\n"
            f"Frames          {self.bad} bad, {self.lost} lost\n"
            f"This program    {self.busy:.0%} of a processor, late by {self.own_lateness}"
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be at most; None: anything. Times are p99 in milliseconds."""

    answer: float | None = None
    first_sound: float | None = None
    spacing: float | None = None
    frames: float | None = None
    failed: float | None = None
