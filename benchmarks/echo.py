"""Measures how many echo calls one core holds: ours on each server, and stock Channels on daphne beside it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.harness.load import Report
from benchmarks.harness.search import Tried, limits, next_calls
from benchmarks.harness.servers import BenchError, Cores, Server, Site, measure, new_site, started

# One frame: an echo that comes later than the next frame would be heard as a gap.
ADDED_MILLISECONDS = 20.0
# Beyond these the generator measures itself, or what else the machine does.
GENERATOR_SHARE, GENERATOR_LATENESS = 0.9, 5.0
# What others may take of the server's core; above it, a failure is not the server's own.
OTHERS_SHARE = 0.05
# Below this share of its core, a server that fails is tried once more.
FULL_SHARE = 0.9
# Runs of one contender that are not used, after which it is given up.
MOST_UNUSED = 4
# One generator has no more in it; and so nothing here grows without end.
MOST_CALLS = 1000
DISCARD_SECONDS = 1.0
# What a run takes besides its calls: addresses, handshakes, and the last words of many calls.
RUN_OVERHEAD = 8.0


@dataclass
class Contender:
    """A server with a consumer; ``first`` is where the search begins."""

    name: str
    label: str
    command: list[str]
    first: int
    asks: bool = True
    reports: list[Report] = field(default_factory=list)

    def runs_of(self, calls: int) -> list[Report]:
        return [each for each in self.reports if each.calls == calls and not unused(each)]

    @property
    def tried(self) -> list[Tried]:
        counts = {each.calls: self.runs_of(each.calls) for each in self.reports}
        return [
            Tried(calls, any(map(held, runs)), min(run.server_share for run in runs))
            for calls, runs in counts.items()
            if runs
        ]

    def next_calls(self) -> int | None:
        """How many calls to try next; None when the limit is known, or beyond what can be measured here."""
        if sum(unused(each) != "" for each in self.reports) >= MOST_UNUSED:
            return None
        if self.reports and doubtful(self.runs_of(self.reports[-1].calls)):
            return self.reports[-1].calls
        full = [each.calls for each in self.reports if each.generator_share > GENERATOR_SHARE]
        return next_calls(self.tried, self.first, min([MOST_CALLS, *(round(calls * 0.9) for calls in full)]))

    @property
    def limits(self) -> tuple[int, int | None]:
        return limits(self.tried)

    @property
    def range(self) -> str:
        """The most calls held, and how sure that is."""
        low, high = self.limits
        if high:
            return f"{low} (not {high})"
        return f"at least {low} (no more could be measured)" if low else "not measured"


def contenders() -> list[Contender]:
    serve = ["manage.py", "serve", "--drain", "1"]
    return [
        Contender("daphne", "ours on daphne", [*serve, "--with", "daphne", "--port"], 200),
        Contender("uvicorn", "ours on uvicorn", [*serve, "--with", "uvicorn", "--port"], 400),
        Contender("stock", "stock Channels on daphne", ["-m", "benchmarks.harness.stock"], 100, asks=False),
    ]


def held(report: Report) -> bool:
    """Whether nobody on these calls would have noticed anything."""
    return report.added_p99 <= ADDED_MILLISECONDS and not (report.lost or report.wrong or report.closed)


def unused(report: Report) -> str:
    """Return why a run says nothing of its server; empty when it does."""
    if report.generator_share > GENERATOR_SHARE:
        return "the generator was the limit"
    if report.lateness_p99 > GENERATOR_LATENESS:
        return "the generator was late"
    if report.others_share > OTHERS_SHARE and not held(report):
        return "others had the core"
    return ""


def doubtful(runs: list[Report]) -> bool:
    """Whether there was one failure, with time to spare on the core: it may have been the machine's."""
    return len(runs) == 1 and not held(runs[0]) and runs[0].server_share < FULL_SHARE


def verdict(report: Report) -> str:
    if why := unused(report):
        return f"not used: {why}"
    return "held" if held(report) else "not held"


HEADER = (
    f"{'':26}{'calls':>6}{'p50':>8}{'p99':>8}{'max':>9}{'p99 sent':>10}{'lost':>6}"
    f"{'core':>7}{'others':>7}{'gen':>7}{'late':>7}"
)


def row(label: str, report: Report) -> str:
    lost = report.lost + report.wrong
    return (
        f"{label:26}{report.calls:6}{report.added_p50:8.1f}{report.added_p99:8.1f}{report.added_max:9.1f}"
        f"{report.since_sent_p99:10.1f}{lost:6}{report.server_share:7.0%}{report.others_share:7.1%}{report.generator_share:7.0%}"
        f"{report.lateness_p99:7.1f}  {verdict(report)}"
    )


def search(site: Site, servers: dict[str, Server], rivals: Sequence[Contender], seconds: float, budget: float) -> None:
    """Give each contender one run in turn, so that a machine that changes changes for all, until all limits are known.

    Stops when another run might not end within ``budget`` seconds.
    """
    cores, deadline = Cores.choose(), time.monotonic() + budget
    open_ones = list(rivals)
    while open_ones:
        contender = open_ones.pop(0)
        calls = contender.next_calls()
        if calls is None:
            continue
        if time.monotonic() + seconds + RUN_OVERHEAD > deadline:
            print(f"{contender.label}: the time is up, its limit is known no better than below")
            continue
        report = measure(site, servers[contender.name], cores, calls, seconds, DISCARD_SECONDS)
        contender.reports.append(report)
        print(row(contender.label, report), flush=True)
        open_ones.append(contender)


def machine() -> dict[str, Any]:
    packages = ("channels", "daphne", "twisted", "autobahn", "uvicorn", "websockets", "uvloop", "django")
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def ratios(rivals: Sequence[Contender]) -> dict[str, tuple[float, float, float]]:
    """Return for each pair how many times as many calls the first holds: likeliest, least and most."""
    known = {each.name: (low, high) for each in rivals for low, high in [each.limits] if low and high}
    pairs = [("daphne", "stock"), ("uvicorn", "stock"), ("uvicorn", "daphne")]
    found = {}
    for one, other in pairs:
        if one in known and other in known:
            (low, high), (other_low, other_high) = known[one], known[other]
            found[f"{one}/{other}"] = (low / other_low, low / other_high, high / other_low)
    return found


def tell(rivals: Sequence[Contender]) -> None:
    print(f"\nCalls on one core, p99 of added latency at most {ADDED_MILLISECONDS:g} ms, no frame lost:")
    for each in rivals:
        print(f"  {each.label:26}{each.range}")
    for pair, (likeliest, least, most) in ratios(rivals).items():
        print(f"  {pair:26}{likeliest:.2f} ({least:.2f} to {most:.2f})")


def write(path: Path, about: dict[str, Any], rivals: Sequence[Contender]) -> None:
    runs = [
        {"contender": each.name, "verdict": verdict(report), **asdict(report)}
        for each in rivals
        for report in each.reports
    ]
    calls = {each.name: each.limits for each in rivals}
    result = {"machine": about, "calls_held_and_not": calls, "ratios": ratios(rivals), "runs": runs}
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nAll figures: {path}")


def allow_many_sockets() -> None:
    """Let our processes open a socket for each call: the usual soft limit is 1,024 files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536) if hard > 0 else 65_536, hard))


def arguments() -> argparse.Namespace:
    names = [each.name for each in contenders()]
    parser = argparse.ArgumentParser(description=__doc__, epilog="Latencies and lateness are in milliseconds.")
    parser.add_argument(
        "--seconds", type=float, default=6, help="length of a run, of which the first second is not used"
    )
    parser.add_argument(
        "--budget", type=float, default=210, help="begin no run that would not end within these seconds"
    )
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure only these")
    parser.add_argument("--calls", type=int, help="begin the search with so many calls, whoever it is")
    parser.add_argument(
        "--json", type=Path, help="where all figures are written (default: a file in the temporary folder)"
    )
    chosen = parser.parse_args()
    chosen.json = chosen.json or Path(tempfile.gettempdir()) / "callflows-echo.json"
    return chosen


def run(chosen: argparse.Namespace) -> None:
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load before {about['load_before']}")
    print(f"\n{HEADER}", flush=True)
    rivals = [each for each in contenders() if each.name in chosen.only]
    cores = Cores.choose()
    with ExitStack() as stack:
        site = stack.enter_context(new_site(MOST_CALLS))
        servers = {
            each.name: stack.enter_context(started(site, each.name, each.command, cores.server, each.asks))
            for each in rivals
        }
        for each in rivals:
            each.first = chosen.calls or each.first
        search(site, servers, rivals, chosen.seconds, chosen.budget)
    tell(rivals)
    write(chosen.json, about, rivals)


def main() -> int:
    # Ended from outside, we still end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_many_sockets()
    try:
        run(arguments())
    except BenchError as error:
        print(f"benchmarks.echo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
