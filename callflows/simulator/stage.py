"""Knows a platform whose way to the world is staged: faults on the line, addresses that are answered on the spot."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from callflows.simulator.account import Account
from callflows.simulator.effects import Effect, Fetch, Fetched, Input
from callflows.simulator.knobs import Knobs
from callflows.simulator.platform import Platform

Asked = Literal["answer", "fallback", "event", "file"]
# What is done later, in the time of the platform; it may ask something of the world.
Act = Callable[[], list[Effect]]


@dataclass(frozen=True, slots=True)
class Page:
    """What an address answers that no server of ours has."""

    status: int = 200
    content_type: str = "application/json"
    body: bytes = b""


class Fault:
    """Something that goes wrong between the platform and the world; this one lets all pass."""

    def effect(self, stage: Stage, effect: Effect) -> list[Effect]:
        """Return what leaves instead of an effect."""
        return [effect]

    def news(self, stage: Stage, news: Input) -> list[Input]:
        """Return what arrives instead of some news."""
        return [news]


class Stage(Platform):
    """A platform with ``faults`` around it, and ``pages`` by address that it answers itself."""

    # What has happened is judged at the end, however late that is.
    kept_seconds = math.inf

    def __init__(
        self,
        began: datetime,
        knobs: Knobs | None = None,
        *,
        account: Account | None = None,
        faults: tuple[Fault, ...] = (),
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        super().__init__(began, knobs, account=account)
        self.faults, self.pages = faults, pages or {}
        # What was held back or is planned; ``waits`` counts that which keeps the stage from being over.
        self._later: list[tuple[float, int, bool, Act]] = []
        self._count = itertools.count()
        self._waits = 0

    @property
    def next_time(self) -> float:
        own = super().next_time
        return min(own, self._later[0][0]) if self._later else own

    @property
    def over(self) -> bool:
        return not self._waits and super().over

    def later(self, at: float, act: Act, *, waits: bool = False) -> None:
        """Do something at a moment; with ``waits`` nothing is over before."""
        self._waits += waits
        heapq.heappush(self._later, (max(at, self.now), next(self._count), waits, act))

    def plan(self, at: float, act: Callable[[], object]) -> None:
        """Let somebody act at a moment, such as dial."""

        def done() -> list[Effect]:
            act()
            return []

        self.later(at, done, waits=True)

    def hear_later(self, at: float, news: Input) -> None:
        """Let some news arrive at a moment, past all faults."""
        self.later(at, lambda: super(Stage, self).receive(news, self.now))

    def advance(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        while self._later and self._later[0][0] <= now:
            at, _, waits, act = heapq.heappop(self._later)
            effects += self._pass(super().advance(max(at, self.now)))
            effects += act()
            self._waits -= waits
        return effects + self._pass(super().advance(now))

    def receive(self, news: Input, now: float) -> list[Effect]:
        if not self.faults:
            return super().receive(news, now)
        effects = self.advance(now)
        arriving = [news]
        for fault in self.faults:
            arriving = [each for before in arriving for each in fault.news(self, before)]
        for each in arriving:
            effects += super().receive(each, now)
        return effects + self.advance(now)

    def asked(self, fetch: Fetch) -> Asked:
        """Return what a request is for: every event has a time or a status, an answer request neither."""
        body = fetch.body or fetch.query
        if not body:
            return "file"
        if "original_request" in body:
            return "fallback"
        return "event" if "timestamp" in body or "status" in body else "answer"

    def _pass(self, effects: list[Effect]) -> list[Effect]:
        for fault in self.faults:
            effects = [each for before in effects for each in fault.effect(self, before)]
        return [each for each in effects if not self._answered(each)] if self.pages else effects

    def _answered(self, effect: Effect) -> bool:
        if not isinstance(effect, Fetch) or effect.url not in self.pages:
            return False
        page = self.pages[effect.url]
        self.hear_later(self.now, Fetched(effect.id, page.status, page.content_type, page.body))
        return True
