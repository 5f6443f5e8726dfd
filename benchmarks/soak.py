"""Measures whether a server that works for long keeps its memory, its descriptors and its calls in order."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import linear_regression, mean
from typing import Any

from benchmarks.echo import machine
from benchmarks.harness.bursts import SILENT_SECONDS
from benchmarks.harness.held import held
from benchmarks.harness.mixed import KINDS
from benchmarks.harness.servers import (
    BASE_DIR,
    SERVERS,
    BenchError,
    Cores,
    Server,
    Site,
    guarded,
    kept_on,
    new_site,
    started,
)
from callflows.sockets.line import DROPS

SAMPLE_SECONDS = 5.0
# Memory rises in steps of 1 to 2 MB, whenever more is held at once than ever before. With 50 mixed
# calls the last step came in the fifth minute: 96.9, then 98.7, then 98.4 to 98.8 MB in the tenth.
WARM_UP_SECONDS = 240.0
# What may grow after the warm-up. Calls of different lengths have a few files more or less open, and each prompt one.
MOST_MEGABYTES, MOST_DESCRIPTORS = 1.0, 8.0
DATABASE = "db.sqlite3"
LEVEL = re.compile(r"^\S+Z ((?:WARNING|ERROR|CRITICAL) .*)")
# What differs in lines that say the same: addresses, ids and figures.
PARTICULAR = re.compile(r"\bwss?://\S+|\(token\)|[\w-]*\d[\w-]*|(?<=line )\S+")


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at one moment; memory in MB. ``own`` is what nobody shares and no file holds: what can leak.

    ``waited`` is for how many seconds, until now, its event loop was ready to run while others had its core.
    """

    at: float
    own: float
    resident: float
    files: int
    sockets: int
    threads: int
    waited: float

    @property
    def descriptors(self) -> int:
        return self.files + self.sockets


def sample(pid: int, begun: float) -> Sample:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    memory = {name: int(value.split()[0]) / 1024 for name, _, value in (line.partition(":") for line in lines)}
    kinds: Counter[bool] = Counter()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            name = os.readlink(each)
            # Each thread that asked the database once keeps its connection: three files, whatever the calls do.
            if DATABASE not in name:
                kinds[name.startswith("socket:")] += 1
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    now = round(time.monotonic() - begun, 1)
    waited = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    own, resident = round(memory["Anonymous"], 2), round(memory["Rss"], 2)
    return Sample(now, own, resident, kinds[False], kinds[True], threads, round(waited, 2))


def alike(lines: Iterable[str]) -> list[str]:
    """Return how often each line comes, most often first; lines that differ only in ids and figures are one."""
    first: dict[str, str] = {}
    counts = Counter(PARTICULAR.sub("", line) for line in lines if first.setdefault(PARTICULAR.sub("", line), line))
    return [f"{count} times: {first[key][:200]}" for key, count in counts.most_common(10)]


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


def connections(server: Server) -> list[str]:
    """Return the connections that the server still has, when nobody is connected to it any more."""
    left = held(server.process.pid, server.port)
    return [f"a socket to port {port}" for port in left.far_ports] + ["a socket of no connection"] * left.dead


@dataclass
class Soak:
    """All that was seen in one run."""

    calls: int
    samples: list[Sample] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    # What the load says of itself; ``rough`` are the lines whose sockets it let burst and end badly.
    generator: dict[str, Any] = field(default_factory=dict)
    idle: list[Sample] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    # What the server says that it dropped, in all lines together.
    dropped: dict[str, int] = field(default_factory=dict)

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
        # While it warms up a server grows by megabytes: a shorter soak only tells by how many.
        if self.warm and self.warm[0].at >= WARM_UP_SECONDS and grown["own"] > MOST_MEGABYTES:
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
        found += alike(error for outcome in self.outcomes for error in outcome["errors"])
        if kept := self.generator.get("kept"):
            found.append(f"{kept:g} sockets that had fallen silent were still open after {SILENT_SECONDS:g} s")
        found += [f"not over: {each}" for each in self.open[:10]]
        found += [f"in the log {each}" for each in alike(self.log)]
        return found + [f"on timelines {each}" for each in alike(self.problems)]

    @property
    def waited(self) -> float:
        """The share of the time for which the server could have run, but others had its core."""
        if len(self.samples) < 2:
            return 0.0
        first, last = self.samples[0], self.samples[-1]
        return (last.waited - first.waited) / (last.at - first.at)


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
    numbers = [soak.calls, seconds, server.port, server.process.pid]
    command = [sys.executable, "-m", "benchmarks.harness.mixed", *map(str, numbers)]
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
    while (rest := left_open(site) + connections(server)) and time.monotonic() < deadline:
        time.sleep(0.5)
    soak.open = rest
    soak.idle.append(sample(server.process.pid, time.monotonic()))
    lines = server.log.read_text(errors="replace").splitlines()
    soak.log = [line.group(1) for line in map(LEVEL.match, lines) if line]
    told = database(site, "SELECT line_id, text FROM callflows_timelineentry WHERE kind='problem'")
    # That they were ended, and what was too much of their bursts, is as it should be.
    soak.problems = [text for name, text in told if name not in soak.generator["rough"]]
    for (figures,) in database(site, "SELECT figures FROM callflows_line WHERE state = 'closed'"):
        told = json.loads(figures)
        soak.dropped |= {name: soak.dropped.get(name, 0) + told[name] for name in DROPS if told.get(name)}


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
    print(f"{len(soak.outcomes)} calls: {', '.join(f'{kinds[kind]} {kind}' for kind in KINDS)};", end="")
    print(f" {lost} were lost abruptly, {len(soak.generator['rough'])} sockets burst and ended badly")
    print(f"The load used {soak.generator['share']:.0%} of its core, and was {soak.generator['late']} ms late (p99)")
    dropped = ", ".join(f"{count} {name}" for name, count in soak.dropped.items())
    print(f"The server counted as dropped: {dropped or 'nothing'}")
    print(f"Others had the server's core for {soak.waited:.1%} of the time in which it was ready to run")
    failures = soak.failures()
    print("\n".join(["\nNot passed:", *(f"  {each}" for each in failures)]) if failures else "\nPassed")


def write(path: Path, about: dict[str, Any], soak: Soak) -> None:
    result = {"machine": about, "failures": soak.failures(), "growths": soak.growths(), **asdict(soak)}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nAll figures: {path}")


def run(chosen: argparse.Namespace) -> int:
    calls, seconds, name = chosen.calls, 60 * chosen.minutes, chosen.server
    about, cores, soak = machine(), Cores.choose(), Soak(calls)
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load before {about['load_before']}")
    print(f"{calls} mixed calls for {chosen.minutes:g} minutes on {name}\n", flush=True)
    command = ["manage.py", "serve", "--with", name, "--drain", "1", "--port"]
    with new_site(calls) as site:
        site.environment.update({"MAX_LAG": chosen.max_lag} if chosen.max_lag else {})
        with started(site, name, command, cores.server, True) as server:
            soak.idle.append(sample(server.process.pid, time.monotonic()))
            run_load(site, server, cores.generator, seconds, soak)
            settle(site, server, soak)
    tell(soak)
    write(chosen.json, about, soak)
    return int(bool(soak.failures()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--calls", type=int, default=50, help="how many are held at one time")
    parser.add_argument("--with", choices=SERVERS, default="daphne", dest="server")
    parser.add_argument("--max-lag", default="", help="the server's MAX_LAG, where others use its core as well")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "callflows-soak.json")
    return parser.parse_args()


def main() -> int:
    return guarded("soak", lambda: run(arguments()))


if __name__ == "__main__":
    sys.exit(main())
