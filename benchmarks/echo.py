"""Measures how many echo calls one core holds: ours on each server, stock Channels on daphne, and Node beside them."""

from __future__ import annotations

import argparse
import json
import operator
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import native, node
from benchmarks.harness.load import Report
from benchmarks.harness.servers import Cores, Server, Site, guarded, new_site, started
from benchmarks.harness.staircase import Staircase, guess

# One frame: an echo that comes later than the next frame would be heard as a gap.
ADDED_MILLISECONDS = 20.0
BOUNDS = {"least": operator.ge, "most": operator.le}
# Beyond these the generator measures itself, or what else the machine does.
GENERATOR_SHARE, GENERATOR_LATENESS = 0.9, 5.0
# What others may take of the server's core; above it, a failure is not the server's own.
OTHERS_SHARE = 0.05
ROUNDS = 5
# How often it is tried to learn what a call costs, when others have the cores.
TRIES = 3
# Calls at which the added latency is compared with Node's.
TOGETHER = 500
# Not measured: calls that have begun are written down in the first seconds, which is no work of the frames.
DISCARD_SECONDS = 3.0
# What a run takes besides its calls: addresses and handshakes, a tenth of a second for ten calls of ours.
RUN_OVERHEAD, CALL_OVERHEAD = 3.0, 0.016


@dataclass
class Contender:
    """A server with a consumer; ``first`` is how many calls show what one of them costs."""

    name: str
    label: str
    command: list[str]
    first: int
    asks: bool = True
    why_not: str = ""
    reports: list[Report] = field(default_factory=list)
    stairs: Staircase | None = None
    # With the same count as all others, by round, held or not.
    together: dict[int, Report] = field(default_factory=dict)

    @property
    def limit(self) -> str:
        """The most calls held, and how sure that is."""
        if self.why_not:
            return f"skipped: {self.why_not}"
        if self.stairs is None or self.stairs.limit is None:
            return "not measured"
        tried = [calls for calls, _ in self.stairs.rounds]
        return f"{self.stairs.known} {self.stairs.limit:.0f} (tried {min(tried)} to {max(tried)})".strip()

    @property
    def microseconds(self) -> float | None:
        """What a frame takes of the core, there and back, within a fifth of the limit."""
        limit = self.stairs.limit if self.stairs else None
        near = [each for each in self.reports if limit and abs(each.calls - limit) <= limit / 5 and not unused(each)]
        return median(cost(each) for each in near) if near else None


def contenders(folder: Path | None = None) -> list[Contender]:
    """Return all; without a ``folder`` to install it into, Node has no command."""
    serve = ["manage.py", "serve", "--drain", "1"]
    stock, bare = (["-m", f"benchmarks.harness.{name}"] for name in ("stock", "bare"))
    command, why_not = node.installed(folder) if folder else ([], "")
    return [
        Contender("daphne", "ours on daphne", [*serve, "--with", "daphne", "--port"], 500),
        Contender("uvicorn", "ours on uvicorn", [*serve, "--with", "uvicorn", "--port"], 500),
        Contender("stock", "stock Channels on daphne", stock, 110, asks=False),
        Contender("node", "Node, express-ws", command, 700, asks=False, why_not=why_not),
        Contender("bare", "bare asyncio protocol", bare, 500, asks=False),
    ]


def cost(report: Report) -> float:
    """Return the microseconds of the core that one frame took, there and back."""
    return report.server_share / (report.calls * 50) * 1e6


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


def verdict(report: Report) -> str:
    if why := unused(report):
        return f"not used: {why}"
    return "held" if held(report) else "not held"


HEADER = (
    f"{'':26}{'calls':>6}{'p50':>8}{'p99':>8}{'max':>9}{'p99 sent':>10}{'lost':>6}"
    f"{'core':>7}{'others':>7}{'gen':>7}{'late':>7}{'us':>7}"
)


def row(label: str, report: Report) -> str:
    lost = report.lost + report.wrong
    return (
        f"{label:26}{report.calls:6}{report.added_p50:8.1f}{report.added_p99:8.1f}{report.added_max:9.1f}"
        f"{report.since_sent_p99:10.1f}{lost:6}{report.server_share:7.0%}{report.others_share:7.1%}{report.generator_share:7.0%}"
        f"{report.lateness_p99:7.1f}{cost(report):7.1f}  {verdict(report)}"
    )


@dataclass
class Field:
    """Where all contenders run, and until when runs may begin."""

    site: Site
    servers: dict[str, Server]
    generator: Path | None
    seconds: float
    deadline: float

    @property
    def most(self) -> int:
        return native.MOST_CALLS if self.generator else native.MOST_CALLS_IN_PYTHON

    def run(self, contender: Contender, calls: int) -> Report | None:
        """Let it run once; None when there is no time left."""
        takes = DISCARD_SECONDS + self.seconds + RUN_OVERHEAD + CALL_OVERHEAD * calls * contender.asks
        if time.monotonic() + takes > self.deadline:
            return None
        server, cores, seconds = self.servers[contender.name], Cores.choose(), DISCARD_SECONDS + self.seconds
        report = native.measure(self.generator, self.site, server, cores, calls, seconds, DISCARD_SECONDS)
        contender.reports.append(report)
        print(row(contender.label, report), flush=True)
        return report


def climb(ground: Field, rivals: Sequence[Contender]) -> None:
    """Find the limits: what a call costs, then rounds around the limit, of one run of each contender in turn."""
    for each in rivals:
        calls = min(each.first, ground.most)
        each.stairs = Staircase(calls, ground.most)
        for _ in range(TRIES):
            if (report := ground.run(each, calls)) and not unused(report):
                each.stairs = Staircase(guess(calls, report.server_share, ground.most), ground.most)
                break
    for number in range(ROUNDS):
        print(f"Round {number + 1}")
        for each in rivals:
            report = ground.run(each, each.stairs.calls) if each.stairs else None
            if each.stairs and report and not unused(report):
                each.stairs.tried(held(report), report.server_share)


def compare(ground: Field, rivals: Sequence[Contender]) -> None:
    """Put the same number of calls on all of them, in rounds of one run of each in turn."""
    calls = min(TOGETHER, ground.most)
    for number in range(ROUNDS):
        print(f"Round {number + 1} at {calls} calls")
        for each in (each for each in rivals if each.name != "bare" or not number):
            if (report := ground.run(each, calls)) and not unused(report):
                each.together[number] = report


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
        "node": node.version(),
    }


def ratios(rivals: Sequence[Contender]) -> dict[str, float]:
    """Return for each pair how many times as many calls the first holds: the median over the rounds.

    None of a side that reached the generator's most: how many it would hold is not known.
    """
    known = [each for each in rivals if each.stairs and not each.stairs.topped]
    rounds = {each.name: [calls for calls, _ in each.stairs.rounds] for each in known if each.stairs}
    pairs = [("daphne", "stock"), ("uvicorn", "stock"), ("daphne", "node"), ("uvicorn", "node")]
    return {
        f"{one}/{other}": median(a / b for a, b in zip(rounds[one], rounds[other], strict=False))
        for one, other in pairs
        if rounds.get(one) and rounds.get(other)
    }


def later(rivals: Sequence[Contender]) -> dict[str, float]:
    """Return the p99 of ours as a part of Node's, with the same calls: the median over the rounds."""
    known = {each.name: each.together for each in rivals}
    found = {}
    for name in ("daphne", "uvicorn"):
        ours, node = known.get(name, {}), known.get("node", {})
        if both := set(ours) & set(node):
            found[f"{name}/node"] = median(ours[each].added_p99 / node[each].added_p99 for each in both)
    return found


def aims(rivals: Sequence[Contender]) -> list[dict[str, Any]]:
    """Return what was to be reached, and what was."""
    calls, late = ratios(rivals), later(rivals)
    p99 = f"p99 of added latency at {TOGETHER} calls"
    wanted = [
        ("daphne to stock Channels on daphne, calls", calls.get("daphne/stock"), "least", 6.5),
        ("uvicorn to Node, calls", calls.get("uvicorn/node"), "least", 0.8),
        (f"daphne to Node, {p99}", late.get("daphne/node"), "most", 1.0),
        (f"uvicorn to Node, {p99}", late.get("uvicorn/node"), "most", 0.5),
    ]
    return [
        {
            "name": name,
            "value": value,
            "unit": "times",
            bound: aim,
            "met": None if value is None else BOUNDS[bound](value, aim),
        }
        for name, value, bound, aim in wanted
    ]


def tell(rivals: Sequence[Contender]) -> None:
    print(f"\nCalls on one core, p99 of added latency at most {ADDED_MILLISECONDS:g} ms, no frame lost:")
    for each in rivals:
        took = f"{each.microseconds:5.1f} us a frame" if each.microseconds else ""
        print(f"  {each.label:26}{each.limit:34}{took}")
    for pair, ratio in ratios(rivals).items():
        print(f"  {pair:26}{ratio:.2f}")
    for aim in aims(rivals):
        verdict = {None: "not measured", True: "met", False: "MISSED"}[aim["met"]]
        bound = f"at least {aim['least']:g}" if "least" in aim else f"at most {aim['most']:g}"
        print(f"  {aim['name']:60}{aim['value'] or 0:.2f} ({bound}) {verdict}")
    print(f"\nWith {TOGETHER} calls, medians of the rounds:")
    for each in (each for each in rivals if each.together):
        share = median(report.server_share for report in each.together.values())
        late = median(report.added_p99 for report in each.together.values())
        print(f"  {each.label:26}{share:5.0%} of the core, p99 {late:5.1f} ms")


def write(path: Path, about: dict[str, Any], rivals: Sequence[Contender]) -> None:
    runs = [
        {"contender": each.name, "verdict": verdict(report), **asdict(report)}
        for each in rivals
        for report in each.reports
    ]
    servers = {
        each.name: {
            "label": each.label,
            "limit": each.limit,
            "calls": each.stairs.limit if each.stairs else None,
            "microseconds": each.microseconds,
            "together": [report.server_share for report in each.together.values()],
            "together_p99": [report.added_p99 for report in each.together.values()],
        }
        for each in rivals
    }
    result = {
        "machine": about,
        "aims": aims(rivals),
        "servers": servers,
        "ratios": ratios(rivals),
        "later": later(rivals),
        "runs": runs,
    }
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nAll figures: {path}")


def arguments() -> argparse.Namespace:
    names = [each.name for each in contenders()]
    parser = argparse.ArgumentParser(description=__doc__, epilog="Latencies and lateness are in milliseconds.")
    parser.add_argument("--seconds", type=float, default=3, help="measured part of a run")
    parser.add_argument(
        "--budget", type=float, default=470, help="begin no run that would not end within these seconds"
    )
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure only these")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "callflows-echo.json")
    return parser.parse_args()


def run(chosen: argparse.Namespace) -> None:
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load before {about['load_before']}")
    cores = Cores.choose()
    with ExitStack() as stack:
        plain = stack.enter_context(new_site(native.MOST_CALLS))
        # The guard against an overloaded worker would refuse the calls that show its limit.
        site = replace(plain, environment={**plain.environment, "MAX_LAG": "60"})
        rivals = [each for each in contenders(site.home) if each.name in chosen.only]
        able = [each for each in rivals if not each.why_not]
        servers = {
            each.name: stack.enter_context(started(site, each.name, each.command, cores.server, each.asks))
            for each in able
        }
        generator = native.built(site.home)
        print(
            f"The load is {'in C' if generator else 'in Python: there is no C compiler here'}\n\n{HEADER}", flush=True
        )
        ground = Field(site, servers, generator, chosen.seconds, time.monotonic() + chosen.budget)
        climb(ground, [each for each in able if each.name != "bare"])
        compare(ground, [each for each in able if each.name != "stock"])
    tell(rivals)
    write(chosen.json, about, rivals)


def main() -> int:
    return guarded("echo", lambda: run(arguments()))


if __name__ == "__main__":
    sys.exit(main())
