"""Knows what many far ends do at once, in a process of its own: a scene as JSON in, what happened as JSON out."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import random
import sys
import time
from array import array
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import uvloop

from benchmarks.harness.ears import MOST_HEARD, Listener, Player, Presser
from benchmarks.harness.far import Far, Lateness, Manner
from benchmarks.harness.load import CLOSE_SECONDS, OPEN_SECONDS, OPENING, percentile, used

PPM, STALL, EVERY = 200.0, 0.4, 5.0
# What is heard before it is measured: calls that open take more than calls that last.
SETTLE_SECONDS = 2.0
ROUND_TRIP = 0.02
FIRST_SOUND_SECONDS = 5.0
BEAT_SECONDS = 0.01
# How long the last key may take to be answered.
ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to happen on 127.0.0.1: ``paths`` are where sockets are opened, by what they are for.

    ``pid`` is the server's process, whose share of a core is watched.
    """

    name: str
    port: int
    pid: int
    paths: dict[str, list[str]]
    seconds: float = 0.0


@dataclass(slots=True)
class Report:
    """What happened, measured from ``begun`` to ``ended`` (the machine's monotonic clock); shares are of one core.

    ``closed`` and ``bad``: sockets that the server ended, and frames of a wrong size, which should be none.
    ``lateness_p99`` is the load's own, in milliseconds. ``figures`` are the scene's.
    """

    calls: int = 0
    closed: int = 0
    bad: int = 0
    opened: float = 0.0
    begun: float = 0.0
    ended: float = 0.0
    server_share: float = 0.0
    others_share: float = 0.0
    load_share: float = 0.0
    lateness_p99: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)


AnyFar = TypeVar("AnyFar", bound=Far)


@dataclass
class Stage:
    """Where a scene takes place."""

    scene: Scene
    report: Report = field(default_factory=Report)
    lateness: Lateness = field(default_factory=Lateness)

    async def open(self, kind: Callable[..., AnyFar], path: str, manner: Manner) -> AnyFar:
        host, loop = f"127.0.0.1:{self.scene.port}", asyncio.get_running_loop()
        _, call = await loop.create_connection(
            lambda: kind(host, path, manner, self.lateness), "127.0.0.1", self.scene.port
        )
        await call.ready
        return call

    async def open_all(self, kind: Callable[..., AnyFar], what: str, manners: Sequence[Manner]) -> list[AnyFar]:
        """Open one call for each manner, and let them settle."""
        opening = asyncio.Semaphore(OPENING)

        async def one(path: str, manner: Manner) -> AnyFar:
            async with opening:
                return await self.open(kind, path, manner)

        self.report.opened = time.monotonic()
        paths = self.scene.paths[what]
        async with asyncio.timeout(OPEN_SECONDS):
            calls = await asyncio.gather(*map(one, paths, manners))
        await asyncio.sleep(SETTLE_SECONDS)
        return calls

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Note what everybody uses while the block lasts."""
        report = self.report
        report.begun = self.lateness.measured_from = time.monotonic()
        before = used(self.scene.pid)
        beating = asyncio.create_task(self.beat())
        yield
        beating.cancel()
        report.ended = time.monotonic()
        seconds, after = report.ended - report.begun, used(self.scene.pid)
        shares = [round((later - sooner) / seconds, 3) for sooner, later in zip(before, after, strict=True)]
        # Ticks miss what is short: a server that hops between threads seems to use more than its core has.
        report.server_share, report.others_share, report.load_share = shares[0], max(0.0, shares[1]), shares[2]
        self.lateness.measured_from = math.inf
        report.lateness_p99 = percentile(self.lateness.values, 0.99)

    async def beat(self) -> None:
        """Note how late this process is also when it has next to nothing to do."""
        while True:
            due = time.monotonic() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            self.lateness.add(due, time.monotonic())

    async def end(self, calls: Sequence[Far]) -> None:
        """Count what went wrong, then hang up."""
        self.report.calls = len(calls)
        self.report.closed += sum(call.closed.done() for call in calls)
        self.report.bad += sum(call.bad for call in calls)
        await hang_up(calls)


async def hang_up(calls: Sequence[Far]) -> None:
    for call in calls:
        if not call.closed.done():
            call.hang_up()
    if calls:
        await asyncio.wait([call.closed for call in calls], timeout=CLOSE_SECONDS)
    for call in calls:
        call.transport.abort()


async def pace(stage: Stage) -> None:
    count = len(stage.scene.paths["play"])
    manners = [
        Manner(PPM if number % 2 else -PPM, STALL, EVERY, phase=EVERY * number / count) for number in range(count)
    ]
    calls = await stage.open_all(Player, "play", manners)
    async with stage.measured():
        await asyncio.sleep(stage.scene.seconds)
    late = array("d", (each for call in calls for each in call.late()))
    stage.report.figures = {
        "underruns": sum(call.underruns for call in calls),
        "above": sum(call.above for call in calls),
        "deepest": max(call.deepest for call in calls),
        "least": min(call.least for call in calls),
        "frames": sum(call.frames for call in calls),
        "silent_calls": sum(not call.frames for call in calls),
        "stalls": sum(
            math.floor((stage.report.ended - call.connected_at - call.manner.phase) / EVERY) + 1 for call in calls
        ),
        **{f"late_p{name}": percentile(late, part) for name, part in (("50", 0.5), ("99", 0.99), ("100", 1.0))},
    }
    await stage.end(calls)


async def first_sound(stage: Stage) -> None:
    """One call after the other waits for its first sound, long and short prompts in turn, beside those that play."""
    others = await stage.open_all(Listener, "play", [Manner()] * len(stage.scene.paths["play"]))
    found: dict[str, array[float]] = {"long": array("d"), "short": array("d")}
    async with stage.measured():
        for paths in zip(*(stage.scene.paths[kind] for kind in found), strict=True):
            for kind, path in zip(found, paths, strict=True):
                found[kind].append(await first_of(stage, path))
    stage.report.figures = {
        f"{kind}_p{name}": percentile(values, part)
        for kind, values in found.items()
        for name, part in (("50", 0.5), ("99", 0.99))
    }
    await stage.end(others)


async def first_of(stage: Stage, path: str) -> float:
    """Open one call, and return how long after its first message its first sound came."""
    call = await stage.open(Listener, path, Manner())
    async with asyncio.timeout(FIRST_SOUND_SECONDS):
        sound = await call.sound
    await hang_up([call])
    # At any moment of the others' frames.
    await asyncio.sleep(random.uniform(0.05, 0.1))
    return sound


async def interruption(stage: Stage) -> None:
    manners = [Manner(round_trip=ROUND_TRIP)] * len(stage.scene.paths["menu"])
    calls = await stage.open_all(Presser, "menu", manners)
    async with stage.measured():
        for call in calls:
            call.press_after(0.0, MOST_HEARD)
        await asyncio.sleep(stage.scene.seconds)
    for call in calls:
        call.stopped = True
    await asyncio.sleep(ANSWER_SECONDS)
    clears = array("d", (each for call in calls for each in call.clears))
    last_old = array("d", (each for call in calls for each in call.last_old))
    stage.report.figures = {
        "keys": sum(call.keys for call in calls),
        "answers": len(clears),
        "clear_p50": percentile(clears, 0.5),
        "clear_p99": percentile(clears, 0.99),
        "clear_max": percentile(clears, 1.0),
        "old_frames": sum(call.old for call in calls),
        "last_old_p99": percentile(last_old, 0.99),
        "last_old_max": percentile(last_old, 1.0),
        "old_heard": sum(call.old_heard for call in calls),
        "idle": sum(call.idle for call in calls),
    }
    await stage.end(calls)


async def talk(stage: Stage) -> None:
    """All say noise, whatever is done with it."""
    calls = await stage.open_all(Listener, "talk", [Manner(noise=True)] * len(stage.scene.paths["talk"]))
    begun = sum(call.frames for call in calls)
    async with stage.measured():
        await asyncio.sleep(stage.scene.seconds)
    stage.report.figures = {"frames_back": sum(call.frames for call in calls) - begun}
    await stage.end(calls)


SCENES: dict[str, Callable[[Stage], Coroutine[Any, Any, None]]] = {
    each.__name__: each for each in (pace, first_sound, interruption, talk)
}


async def play(scene: Scene) -> Report:
    stage = Stage(scene)
    gc.disable()
    await SCENES[scene.name](stage)
    return stage.report


def main() -> int:
    scene = Scene(**json.load(sys.stdin))
    try:
        report = uvloop.run(play(scene))
    except (OSError, TimeoutError) as error:
        print(f"{scene.name} could not be played: {error or type(error).__name__}", file=sys.stderr)
        return 1
    json.dump(asdict(report), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
