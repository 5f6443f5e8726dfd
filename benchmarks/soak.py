"""Measures whether a server that works for long keeps its memory, its descriptors and its calls in order."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import linear_regression, mean
from typing import Any

import numpy as np
import uvloop

from benchmarks.echo import allow_many_sockets, machine
from benchmarks.harness.servers import BASE_DIR, CALLER, BenchError, Cores, Server, Site, kept_on, new_site, started
from callflows.simulator.call import Call
from callflows.simulator.caller import Caller, Press
from callflows.simulator.courier import Site as Webhooks
from callflows.simulator.dial import Dial
from callflows.simulator.driver import Driver
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.sound import Voice

# The demo's numbers. Each slot keeps to one kind, so that the mix, and the memory that it takes, stays the same.
KINDS = {
    "echo": "447700900001",
    "echo at 8 kHz": "447700900005",
    "play": "447700900002",
    "record": "447700900003",
    "menu": "447700900006",
    "menu of webhooks": "447700900004",
}
ECHOES = ("echo", "echo at 8 kHz")
SHORTEST, LONGEST = 5.0, 40.0
# One call in four is lost without a word, as when a network breaks.
LOST_SHARE = 0.25
# Echoes that may be on their way when a call ends: half a second of them.
ON_THE_WAY = 25
SAMPLE_SECONDS = 5.0
WARM_UP_SECONDS = 120.0
# What may grow after the warm-up. Calls of different lengths have a few files more or less open, and each prompt one.
MOST_MEGABYTES, MOST_DESCRIPTORS = 1.0, 8.0
LEVEL = re.compile(r"^\S+Z (WARNING|ERROR|CRITICAL) ")


# The load, in a process of its own.


@dataclass(eq=False)
class FragileCall(Call):
    """A call whose sockets are lost without a word when it ends, if it is ``lost_by_network``."""

    lost_by_network: bool = False

    def hang_up(self) -> None:
        if self.lost_by_network and not self.ended:
            for socket in self.sockets.values():
                socket.close(self, abort=True)
        super().hang_up()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call; ``at`` is when it ended, in seconds from the start of the load."""

    kind: str
    at: float
    seconds: float
    lost_by_network: bool
    heard: int
    wrong: int
    lost: int
    gaps: int
    errors: list[str]


class Ear:
    """Counts what a caller hears; with ``echo``, also whether each frame is the one that was said, in order."""

    def __init__(self, echo: bool) -> None:
        self.echo = echo
        self.heard = self.wrong = self.lost = 0
        self.said: deque[bytes] = deque()

    def __call__(self, seen: Note | Heard | Said) -> None:
        if isinstance(seen, Heard) and seen.source == "socket":
            self.heard += 1
            if self.echo:
                self._compare(seen.pcm)
        elif isinstance(seen, Said) and self.echo:
            self.said.append(seen.pcm)

    def _compare(self, pcm: bytes) -> None:
        for place, said in enumerate(self.said):
            if said == pcm:
                self.lost += place
                for _ in range(place + 1):
                    self.said.popleft()
                return
        self.wrong += 1

    def end(self) -> None:
        self.lost += max(0, len(self.said) - ON_THE_WAY)


def presses(kind: str, seconds: float, chance: random.Random) -> list[Press]:
    """Return the keys of a call: wrong ones that interrupt a question, a choice, and what ends a message."""
    found: list[Press] = []
    at = chance.uniform(0.3, 1.0)
    choice = "3" if kind == "record" else ""
    if kind.startswith("menu"):
        # The menu of webhooks asks for at least 4 s; its second wrong key would find nobody listening.
        for _ in range(chance.randint(0, 2 if kind == "menu" else 1)):
            found.append(Press("9", at))
            at += chance.uniform(0.8, 1.5)
        choice = chance.choice("123")
        found.append(Press(choice, at))
    elif kind in ECHOES:
        found.append(Press("5", at))
    if choice == "3" and chance.random() < 0.5:
        found.append(Press("#", max(at + 4.0, seconds * chance.uniform(0.4, 0.9))))
    return found


async def one_call(kind: str, voice: Voice, server: str, chance: random.Random, over: asyncio.Event) -> Outcome:
    seconds = chance.uniform(SHORTEST, LONGEST)
    caller = Caller(KINDS[kind], CALLER, voice, tuple(presses(kind, seconds, chance)), seconds)
    call = FragileCall(caller, Webhooks.at(server), datetime.now(UTC), lost_by_network=chance.random() < LOST_SHARE)
    ear, begun = Ear(kind in ECHOES), time.monotonic()
    result = await Driver(call, Dial(server), ear).run(over)
    ear.end()
    taken = time.monotonic() - begun
    errors = list(result.refusals)
    # The longest question or wait before a sound of ours takes less.
    if not ear.heard and kind != "menu of webhooks" and taken > 10:
        errors.append(f"{kind}: nothing was heard from the socket")
    return Outcome(
        kind,
        0.0,
        round(taken, 1),
        call.lost_by_network,
        ear.heard,
        ear.wrong + result.bad,
        ear.lost,
        result.lost,
        errors,
    )


async def slot(number: int, voice: Voice, server: str, begun: float, over: asyncio.Event) -> None:
    """Place one call after the other until it is ``over``; tell of each on standard output."""
    chance = random.Random(number)
    kind = list(KINDS)[number % len(KINDS)]
    await asyncio.sleep(chance.uniform(0.0, 5.0))
    while not over.is_set():
        outcome = await one_call(kind, voice, server, chance, over)
        told = {**asdict(outcome), "at": round(time.monotonic() - begun, 1)}
        print(json.dumps(told), flush=True)
        await asyncio.sleep(chance.uniform(0.1, 0.5))


async def watch_lateness(late: list[float]) -> None:
    """Note how late this loop runs: its frames leave as late."""
    while True:
        due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
        late.append(time.monotonic() - due)


async def load(calls: int, seconds: float, port: int) -> None:
    # Noise: each frame is another one.
    noise = np.random.default_rng(1).normal(0, 0.05, round(24000 * (LONGEST + 10))).astype(np.float32)
    voice, over, late = Voice.of(noise, 24000), asyncio.Event(), list[float]()
    watching = asyncio.create_task(watch_lateness(late))
    begun, used = time.monotonic(), time.process_time()
    slots = [
        asyncio.create_task(slot(number, voice, f"http://127.0.0.1:{port}", begun, over)) for number in range(calls)
    ]
    await asyncio.wait(slots, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    share = (time.process_time() - used) / (time.monotonic() - begun)
    over.set()
    await asyncio.gather(*slots)
    watching.cancel()
    worst = sorted(late)[math.ceil(0.99 * len(late)) - 1]
    print(json.dumps({"share": round(share, 3), "late": round(1000 * worst, 1)}), flush=True)


# What is looked at from outside.


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at one moment; memory in MB. ``own`` is what nobody shares and no file holds: what can leak."""

    at: float
    own: float
    resident: float
    files: int
    sockets: int
    threads: int

    @property
    def descriptors(self) -> int:
        return self.files + self.sockets


def sample(pid: int, begun: float) -> Sample:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    memory = {name: int(value.split()[0]) / 1024 for name, _, value in (line.partition(":") for line in lines)}
    kinds: Counter[bool] = Counter()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            kinds[os.readlink(each).startswith("socket:")] += 1
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    now = round(time.monotonic() - begun, 1)
    return Sample(now, round(memory["Anonymous"], 2), round(memory["Rss"], 2), kinds[False], kinds[True], threads)


def growth(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much a straight line through the points rises from the first to the last; 0 of too few."""
    if len(points) < 3:
        return 0.0
    slope, _ = linear_regression(*zip(*points, strict=True))
    return round(slope * (points[-1][0] - points[0][0]), 2)


def database(site: Site, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{site.home / 'db.sqlite3'}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def left_open(site: Site) -> list[str]:
    """Return what the database says is not over: after the last call, nothing."""
    calls = database(site, "SELECT id FROM callflows_call WHERE status <> 'completed'")
    lines = database(site, "SELECT id, app FROM callflows_line WHERE state = 'open'")
    return [f"call {number}" for (number,) in calls] + [f"{app} line {name}" for name, app in lines]


@dataclass
class Soak:
    """All that was seen in one run."""

    calls: int
    samples: list[Sample] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    generator: dict[str, float] = field(default_factory=dict)
    idle: list[Sample] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    @property
    def warm(self) -> list[Sample]:
        """The samples that count: those of a soak too short for the warm-up are its second half."""
        end = self.samples[-1].at if self.samples else 0.0
        return [each for each in self.samples if each.at >= min(WARM_UP_SECONDS, end / 2)]

    def total(self, name: str) -> int:
        return sum(outcome[name] for outcome in self.outcomes)

    def growths(self) -> dict[str, float]:
        names = ("own", "resident", "descriptors", "threads")
        return {name: growth([(each.at, getattr(each, name)) for each in self.warm]) for name in names}

    def failures(self) -> list[str]:
        """Return why it has not passed, in words; empty when it has."""
        grown, found = self.growths(), []
        if grown["own"] > MOST_MEGABYTES:
            found.append(f"memory grew by {grown['own']} MB, expected at most {MOST_MEGABYTES:g}")
        if grown["descriptors"] > MOST_DESCRIPTORS:
            found.append(f"descriptors grew by {grown['descriptors']}, expected at most {MOST_DESCRIPTORS:g}")
        before, after = (each.descriptors for each in self.idle)
        if after - before > MOST_DESCRIPTORS:
            found.append(f"{after} descriptors were open after the last call, and {before} before the first")
        if not self.outcomes:
            found.append("no call came to its end")
        for name in ("wrong", "lost"):
            if count := self.total(name):
                found.append(f"{count} frames were {name}")
        told = Counter(error for outcome in self.outcomes for error in outcome["errors"])
        found += [f"{count} times: {error}" for error, count in told.most_common(10)]
        found += [f"not over: {each}" for each in self.open[:10]]
        return found + [f"in the log: {line[:200]}" for line in self.log[:10]] + self.problems


def watch_load(server: Server, process: subprocess.Popen[bytes], seconds: float, soak: Soak) -> None:
    """Take a sample every 5 s until the load ends; those after its time show calls that end, and are not kept."""
    begun, taken = time.monotonic(), 0
    while process.poll() is None:
        taken += 1
        time.sleep(max(0.0, begun + taken * SAMPLE_SECONDS - time.monotonic()))
        if (code := server.process.poll()) is not None:
            raise BenchError(f"the server ended with {code} in the middle of it:\n{server.said()}")
        if (seen := sample(server.process.pid, begun)).at <= seconds:
            soak.samples.append(seen)


def run_load(site: Site, server: Server, core: int, seconds: float, soak: Soak) -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--load", str(server.port)]
    command += ["--calls", str(soak.calls), "--minutes", str(seconds / 60)]
    told, trouble = site.home / "calls.jsonl", site.home / "load.log"
    with told.open("wb") as output, trouble.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=BASE_DIR, env=site.environment, stdout=output, stderr=errors, preexec_fn=kept_on(core)
        )
        try:
            watch_load(server, process, seconds, soak)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise BenchError(f"the load ended with {process.returncode}:\n{trouble.read_text()[-2000:]}")
    *soak.outcomes, soak.generator = map(json.loads, told.read_text().splitlines())


def settle(site: Site, server: Server, soak: Soak) -> None:
    """Look at what is left when the server has nothing to do any more."""
    server.wait_until_idle()
    deadline = time.monotonic() + 20
    while (rest := left_open(site)) and time.monotonic() < deadline:
        time.sleep(0.5)
    soak.open = rest
    soak.idle.append(sample(server.process.pid, time.monotonic()))
    lines = server.log.read_text(errors="replace").splitlines()
    soak.log = [line for line in lines if LEVEL.match(line) or line.startswith("Traceback")]
    query = "SELECT count(*), text FROM callflows_timelineentry WHERE kind = 'problem' GROUP BY text ORDER BY 1 DESC"
    soak.problems = [f"on timelines, {count} times: {text}" for count, text in database(site, query)[:10]]


def tell(soak: Soak) -> None:
    print(f"{'minute':>6}{'ended':>7}{'errors':>8}{'wrong':>7}{'lost':>6}{'gaps':>6}", end="")
    print(f"{'own MB':>9}{'RSS MB':>8}{'files':>7}{'sockets':>9}{'threads':>9}")
    for minute in range(math.ceil(soak.samples[-1].at / 60) if soak.samples else 0):
        ended = [each for each in soak.outcomes if each["at"] // 60 == minute]
        seen = [each for each in soak.samples if each.at // 60 == minute]
        if not seen:
            continue
        wrong, lost, gaps = (sum(each[name] for each in ended) for name in ("wrong", "lost", "gaps"))
        errors = sum(len(each["errors"]) for each in ended)
        means = [mean(getattr(each, name) for each in seen) for name in ("own", "resident", "files", "sockets")]
        print(f"{minute + 1:6}{len(ended):7}{errors:8}{wrong:7}{lost:6}{gaps:6}", end="")
        print(f"{means[0]:9.2f}{means[1]:8.1f}{means[2]:7.1f}{means[3]:9.1f}{max(each.threads for each in seen):9}")
    grown, warm, kinds = soak.growths(), soak.warm, Counter(each["kind"] for each in soak.outcomes)
    span = f"from {warm[0].at:.0f} s to {warm[-1].at:.0f} s" if warm else "(nothing was seen)"
    print(f"\nGrown {span}: own memory {grown['own']} MB, RSS {grown['resident']} MB,", end="")
    print(f" descriptors {grown['descriptors']}, threads {grown['threads']}")
    before, after = soak.idle
    print(f"Without calls, before and after: {before.descriptors} and {after.descriptors} descriptors,", end="")
    print(f" {before.own:.1f} and {after.own:.1f} MB of own memory")
    lost = sum(each["lost_by_network"] for each in soak.outcomes)
    print(
        f"{len(soak.outcomes)} calls: {', '.join(f'{kinds[kind]} {kind}' for kind in KINDS)}; {lost} were lost abruptly"
    )
    print(f"The load used {soak.generator['share']:.0%} of its core, and was {soak.generator['late']} ms late (p99)")
    failures = soak.failures()
    print("\n".join(["\nNot passed:", *(f"  {each}" for each in failures)]) if failures else "\nPassed")


def write(path: Path, about: dict[str, Any], soak: Soak) -> None:
    result = {"machine": about, "failures": soak.failures(), "growths": soak.growths(), **asdict(soak)}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nAll figures: {path}")


def run(calls: int, seconds: float, path: Path) -> int:
    about, cores, soak = machine(), Cores.choose(), Soak(calls)
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load before {about['load_before']}")
    print(f"{calls} mixed calls for {seconds / 60:g} minutes\n", flush=True)
    with (
        new_site(calls) as site,
        started(site, "daphne", ["manage.py", "serve", "--drain", "1", "--port"], cores.server, True) as server,
    ):
        soak.idle.append(sample(server.process.pid, time.monotonic()))
        run_load(site, server, cores.generator, seconds, soak)
        settle(site, server, soak)
    tell(soak)
    write(path, about, soak)
    return int(bool(soak.failures()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--calls", type=int, default=50, help="how many are held at one time")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "callflows-soak.json")
    parser.add_argument("--load", type=int, metavar="PORT", help="be the load on the server at this port")
    return parser.parse_args()


def main() -> int:
    # Ended from outside, we still end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_many_sockets()
    chosen = arguments()
    if chosen.load:
        uvloop.run(load(chosen.calls, chosen.minutes * 60, chosen.load))
        return 0
    try:
        return run(chosen.calls, chosen.minutes * 60, chosen.json)
    except BenchError as error:
        print(f"benchmarks.soak: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
