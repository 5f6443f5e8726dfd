"""Knows how a measurement with aims is run and told: once more when the load or others were the limit, then written."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.echo import GENERATOR_LATENESS, GENERATOR_SHARE, OTHERS_SHARE, machine
from benchmarks.harness.scenes import Report, Scene
from benchmarks.harness.servers import BenchError, Cores, Server, Site, allow_many_sockets, new_site, reported

MOST_LINES = 400
# The guard against an overloaded worker would refuse calls that are to be measured.
NO_GUARD = {"MAX_LAG": "60"}
# What a scene takes besides its time: opening and closing its calls.
OVERHEAD_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Aim:
    """One figure; without ``most`` it is only told. ``value`` is None when it was not measured."""

    name: str
    value: float | None
    unit: str = ""
    most: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.most is None or self.value is None else self.value <= self.most

    @property
    def row(self) -> str:
        value = "–" if self.value is None else f"{self.value:,.4g}" if self.value < 1000 else f"{self.value:,.0f}"
        aim = "" if self.most is None else f"<= {self.most:g}"
        verdict = {None: "" if self.value is not None else "not measured", True: "met", False: "MISSED"}[self.met]
        return f"{self.name:54}{value:>10} {self.unit:8}{aim:>8}  {verdict}"


@dataclass
class Bench:
    """One measurement: a site of its own, and all that was seen."""

    site: Site
    cores: Cores
    seconds: float
    aims: list[Aim] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def play(self, server: Server, label: str, scene: Scene) -> Report:
        """Play a scene from a process on the other core; keep and print what everybody used."""
        command, seconds = [sys.executable, "-m", "benchmarks.harness.scenes"], scene.seconds + OVERHEAD_SECONDS
        plan = json.dumps(asdict(scene))
        report = Report(**reported(command, plan, self.site, server, self.cores, seconds))
        self.runs.append({"label": label, "unused": "", **asdict(report)})
        return report

    def tried(
        self, play: Callable[[], Report], aims: Callable[[Report | None], list[Aim]], most: int = 2
    ) -> Report | None:
        """Play until a run says something of the server, ``most`` times; keep its figures as aims, or none."""
        for _ in range(most):
            report = play()
            found = aims(report)
            why = unused(report, met=all(each.met is not False for each in found))
            self.runs[-1]["unused"] = why
            print(told(self.runs[-1]), flush=True)
            if not why:
                self.aims += found
                return report
        self.aims += aims(None)
        return None


def unused(report: Report, *, met: bool) -> str:
    """Return why a run says nothing of its server; empty when it does. ``met`` is whether all aims were."""
    if report.load_share > GENERATOR_SHARE:
        return "the load was the limit"
    if report.lateness_p99 > GENERATOR_LATENESS:
        return "the load was late"
    if report.others_share > OTHERS_SHARE and not met:
        return "others had the core"
    return ""


def told(run: dict[str, Any]) -> str:
    return (
        f"{run['label']:26}{run['calls']:4} calls  server {run['server_share']:4.0%}  others {run['others_share']:5.1%}"
        f"  load {run['load_share']:4.0%}, {run['lateness_p99']:.1f} ms late (p99)"
        + (f"  not used: {run['unused']}" if run["unused"] else "")
    )


def value(report: Report | None, name: str) -> float | None:
    """Return a figure of a run, or None without a run or when nothing was counted."""
    found = report.figures[name] if report else None
    return None if found is None or not math.isfinite(found) else float(found)


def wrong(report: Report | None) -> Aim:
    """Return the aim that every scene has: no call ends by itself, no frame has a wrong size."""
    return Aim("calls that ended, frames of a wrong size", float(report.closed + report.bad) if report else None, "", 0)


@contextmanager
def bench_site(**more: str) -> Iterator[Site]:
    """Make a site with the demo's numbers and the measurements' own, whose server refuses nobody."""
    with new_site(MOST_LINES) as plain:
        site = replace(plain, environment={**plain.environment, **NO_GUARD, **more})
        site.run("-m", "benchmarks.harness.content")
        yield site


def scene(server: Server, name: str, seconds: float, **numbers: Sequence[Any]) -> Scene:
    """Return a scene with an address for each call: ``numbers`` are how many call which number, by what for."""
    paths = {what: server.paths(count, number) for what, (count, number) in numbers.items()}
    return Scene(name, server.port, server.process.pid, paths, seconds)


def main(name: str, seconds: float, run: Callable[[Bench], None], about: str) -> int:
    """Measure, print the table of aims, write everything as JSON; 1 only when it could not be measured."""
    # Ended from outside, we still end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_many_sockets()
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seconds", type=float, default=seconds, help="length of a run")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / f"callflows-{name}.json")
    chosen = parser.parse_args()
    seen = machine()
    print(f"{seen['cpu']}, {seen['cores']} cores, Python {seen['python']}, load before {seen['load_before']}\n")
    try:
        with bench_site() as site:
            bench = Bench(site, Cores.choose(), chosen.seconds)
            run(bench)
    except BenchError as error:
        print(f"benchmarks.{name}: {error}", file=sys.stderr)
        return 1
    print("\n" + "\n".join(each.row for each in bench.aims))
    aims = [{**asdict(each), "met": each.met} for each in bench.aims]
    result = {"machine": seen, "aims": aims, "runs": bench.runs}
    chosen.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nAll figures: {chosen.json}")
    return 0
