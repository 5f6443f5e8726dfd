"""Knows how to put echo calls on a server, from a process of its own: a plan as JSON in, what happened as JSON out."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import sys
import time
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from benchmarks.harness.client import Call, Schedule, Timings

OPEN_SECONDS = 60.0
# Handshakes at one time.
OPENING = 16
# How long echoes may still come after the last frame was sent, before they count as lost.
GRACE_SECONDS = 1.0
CLOSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls to 127.0.0.1, one for each path, for ``seconds`` of which the first ``discard`` are not measured.

    ``pid`` is the server's process, whose share of a core is watched.
    """

    port: int
    pid: int
    paths: list[str]
    seconds: float
    discard: float


@dataclass(frozen=True, slots=True)
class Report:
    """What happened: latencies and lateness in milliseconds, shares as parts of one core.

    ``added`` counts from when a frame was to be sent, ``since_sent`` from when it was. ``others_share`` is
    what everybody else took of the server's core.
    """

    calls: int
    frames: int
    lost: int
    wrong: int
    closed: int
    added_p50: float
    added_p99: float
    added_max: float
    since_sent_p99: float
    lateness_p99: float
    server_share: float
    others_share: float
    generator_share: float


def percentile(values: array[float], part: float) -> float:
    """Return the value, in milliseconds, that ``part`` (0 to 1) of ``values`` (seconds) do not exceed; inf of none."""
    if not values:
        return math.inf
    return round(1000 * sorted(values)[min(len(values) - 1, math.ceil(part * len(values)) - 1)], 2)


def cpu_seconds(pid: int) -> float:
    """Return how long all threads of a process have run, to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def core_seconds(pid: int) -> float:
    """Return how long the one core of a process was busy for anybody, other virtual machines included, to 10 ms."""
    (core,) = os.sched_getaffinity(pid)
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    # In order: user, nice, system, idle, iowait, irq, softirq, steal.
    times = next([int(time) for time in line[1:]] for line in lines if line[0] == f"cpu{core}")
    return (sum(times[0:3]) + sum(times[5:8])) / os.sysconf("SC_CLK_TCK")


def used(pid: int) -> tuple[float, float, float]:
    """Return the seconds used by the server, by anybody else on its core, and by this process."""
    server = cpu_seconds(pid)
    return server, core_seconds(pid) - server, time.process_time()


async def open_call(plan: Plan, path: str, timings: Timings, opening: asyncio.Semaphore) -> Call:
    loop = asyncio.get_running_loop()
    async with opening:
        _, call = await loop.create_connection(
            lambda: Call(f"127.0.0.1:{plan.port}", path, timings), "127.0.0.1", plan.port
        )
        await call.ready
    return call


async def open_calls(plan: Plan, timings: Timings) -> list[Call]:
    """Open all calls and wait until each has had its first echo."""
    opening = asyncio.Semaphore(OPENING)
    async with asyncio.timeout(OPEN_SECONDS):
        return await asyncio.gather(*(open_call(plan, path, timings, opening) for path in plan.paths))


async def talk(plan: Plan, calls: list[Call], timings: Timings) -> list[float]:
    """Send for the planned time; return what was ``used`` in the measured part of it, as shares of one core."""
    start = time.monotonic() + 0.1
    timings.measured_from = start + plan.discard
    schedule = Schedule(calls, start, plan.seconds)
    schedule.tick()
    await asyncio.sleep(timings.measured_from - time.monotonic())
    begun, before = time.monotonic(), used(plan.pid)
    await schedule.done
    seconds, after = time.monotonic() - begun, used(plan.pid)
    return [round((later - sooner) / seconds, 3) for sooner, later in zip(before, after, strict=True)]


async def wait_for_echoes(calls: list[Call]) -> None:
    for _ in range(round(GRACE_SECONDS / 0.02)):
        if all(call.echoed + call.wrong == len(call.sent) for call in calls):
            return
        await asyncio.sleep(0.02)


async def hang_up(calls: list[Call]) -> None:
    for call in calls:
        if not call.closed.done():
            call.hang_up()
    await asyncio.wait([call.closed for call in calls], timeout=CLOSE_SECONDS)
    for call in calls:
        call.transport.abort()


async def measure(plan: Plan) -> Report:
    timings = Timings()
    calls = await open_calls(plan, timings)
    gc.disable()
    share, others, own = await talk(plan, calls, timings)
    await wait_for_echoes(calls)
    closed = sum(call.closed.done() for call in calls)
    await hang_up(calls)
    return Report(
        calls=len(calls),
        frames=sum(len(call.sent) for call in calls),
        lost=sum(len(call.sent) - call.echoed - call.wrong for call in calls),
        wrong=sum(call.wrong for call in calls),
        closed=closed,
        added_p50=percentile(timings.added, 0.5),
        added_p99=percentile(timings.added, 0.99),
        added_max=percentile(timings.added, 1.0),
        since_sent_p99=percentile(timings.since_sent, 0.99),
        lateness_p99=percentile(timings.lateness, 0.99),
        server_share=share,
        # Ticks miss what is short: a server that hops between threads seems to use more than its core has.
        others_share=max(0.0, others),
        generator_share=own,
    )


def main() -> int:
    plan = Plan(**json.load(sys.stdin))
    try:
        report = uvloop.run(measure(plan))
    except (OSError, TimeoutError) as error:
        print(f"{len(plan.paths)} calls could not be opened: {error or type(error).__name__}", file=sys.stderr)
        return 1
    json.dump(asdict(report), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
