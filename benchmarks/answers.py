"""Measures what an answer costs beside a bare Django view, on all servers and databases."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.echo import GENERATOR_SHARE, OTHERS_SHARE, machine
from benchmarks.harness.asking import ANSWER_SECONDS, KEY, OPEN_SECONDS, SECRET, Plan, Report
from benchmarks.harness.servers import (
    SERVERS,
    BenchError,
    Cores,
    Server,
    Site,
    allow_many_sockets,
    new_site,
    reported,
    started,
)

CONNECTIONS, BURST, BURST_TRIES = 8, 200, 3
ROUNDS, SECONDS, DISCARD_SECONDS, TRIAL_SECONDS = 3, 3.0, 1.0, 1.0
# More than a server of this kind answers in a second.
MOST_A_SECOND = 3000
DATABASES = ("sqlite", "postgres")
# How the bare view may be written.
WAYS = ("async", "sync")
# The least of the bare view's answers a second, the most of its p99, the most ms for 200 at once.
LEAST_RATE, MOST_P99, MOST_BURST = 0.5, 3.0, 1000.0


@dataclass
class Match:
    """Ours and the bare view on a server and a database; reports of the rounds that count."""

    server: str
    database: str
    site: Site
    rounds: list[dict[str, Report]] = field(default_factory=list)
    bursts: list[Report] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.server}, {self.database}"

    def commands(self) -> dict[str, list[str]]:
        bare = {way: ["-m", "benchmarks.harness.plain", self.server, way] for way in WAYS}
        return {"ours": ["manage.py", "serve", "--drain", "1", "--with", self.server, "--port"], **bare}

    def ask(self, server: Server, who: str, connections: int, seconds: float) -> Report:
        """Ask one of them from a process on the other core; keep and print what came of it."""
        discard = DISCARD_SECONDS if seconds else 0.0
        most = round(MOST_A_SECOND * (seconds + discard)) + connections
        plan = Plan(server.port, server.process.pid, connections, seconds, discard, most)
        command, cores = [sys.executable, "-m", "benchmarks.harness.asking"], Cores.choose()
        limit = OPEN_SECONDS + discard + seconds + ANSWER_SECONDS + 30
        found = Report(**reported(command, json.dumps(asdict(plan)), self.site, server, cores, limit))
        self.runs.append({"match": self.name, "who": who, "connections": connections, **asdict(found)})
        print(told(f"{self.name}: {who}", connections, found), flush=True)
        return found

    def play(self, rounds: int, seconds: float) -> None:
        with ExitStack() as stack:
            core = Cores.choose().server
            servers = {
                who: stack.enter_context(started(self.site, f"{self.server}-{who}", command, core, False))
                for who, command in self.commands().items()
            }
            # Nobody can tell beforehand which way is the quicker one: the rival is who wins here.
            tried = {way: self.ask(servers[way], way, CONNECTIONS, TRIAL_SECONDS).rate for way in WAYS}
            bare = max(tried, key=lambda way: tried[way])
            for _ in range(rounds):
                both = {
                    "ours": self.ask(servers["ours"], "ours", CONNECTIONS, seconds),
                    "bare": self.ask(servers[bare], bare, CONNECTIONS, seconds),
                }
                if not any(map(unused, both.values())):
                    self.rounds.append(both)
                self.burst(servers["ours"])

    def burst(self, server: Server) -> None:
        """Let all ask at once; a burst takes half a second, which others may well spoil."""
        for _ in range(BURST_TRIES):
            found = self.ask(server, "ours", BURST, 0.0)
            if not unused(found):
                self.bursts.append(found)
                return

    def ratio(self, figure: Callable[[Report], float]) -> float | None:
        """Return a figure of ours as a multiple of the bare view's: the median of the rounds."""
        found = [figure(each["ours"]) / figure(each["bare"]) for each in self.rounds]
        return median(found) if found else None

    def aims(self) -> list[dict[str, Any]]:
        wrong = sum(each["ours"].wrong for each in self.rounds) + sum(each.wrong for each in self.bursts)
        longest = median(each.longest for each in self.bursts) if self.bursts else None
        return [
            aim(
                f"{self.name}: answers a second, to the bare view",
                self.ratio(lambda each: each.rate),
                "times",
                least=LEAST_RATE,
            ),
            aim(f"{self.name}: p99, to the bare view", self.ratio(lambda each: each.p99), "times", most=MOST_P99),
            aim(f"{self.name}: {BURST} at once, the last one", longest, "ms", most=MOST_BURST),
            aim(f"{self.name}: safe or wrong answers", float(wrong) if self.bursts else None, "", most=0.0),
            aim(f"{self.name}: processor for an answer, to the bare view", self.ratio(cost), "times"),
        ]


def aim(name: str, value: float | None, unit: str, least: float | None = None, most: float | None = None) -> Any:
    bounded = least is not None or most is not None
    met = (value >= (least or 0.0) and (most is None or value <= most)) if bounded and value is not None else None
    return {"name": name, "value": value, "unit": unit, "least": least, "most": most, "met": met}


def cost(report: Report) -> float:
    """Return the milliseconds of the server's core that one answer took."""
    return report.server_share / report.rate * 1000


def unused(report: Report) -> str:
    """Return why a run says nothing of its server; empty when it does."""
    if report.generator_share > GENERATOR_SHARE or report.ran_out:
        return "the generator was the limit"
    return "others had the core" if report.others_share > 4 * OTHERS_SHARE else ""


def told(label: str, connections: int, report: Report) -> str:
    why = unused(report)
    return (
        f"{label:26}{connections:4}{report.rate:8.0f}/s  p50 {report.p50:7.1f}  p99 {report.p99:7.1f}  "
        f"max {report.longest:7.1f} ms  wrong {report.wrong}  core {report.server_share:4.0%}"
        f"  others {report.others_share:4.0%}  gen {report.generator_share:4.0%} of {report.load_core_share:4.0%}"
        + (f"  not used: {why}" if why else "")
    )


@contextmanager
def site_of(database: str) -> Iterator[Site]:
    """Make a site with the numbers on a database of its own; PostgreSQL is on the other core."""
    secrets = {"SIGNATURE_SECRETS": f"{KEY}:{SECRET}"}
    with ExitStack() as stack:
        if database == "postgres":
            secrets["DATABASE_URL"] = stack.enter_context(postgres())
        plain = stack.enter_context(new_site(100, **secrets))
        site = Site(plain.home, {**plain.environment, "PLAIN_ROWS": str(plain.home / "plain.sqlite3")})
        site.run("-m", "benchmarks.harness.numbers")
        yield site


@contextmanager
def postgres() -> Iterator[str]:
    from tests.services import postgres_server

    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {Cores.choose().generator})
    try:
        with postgres_server() as url:
            os.sched_setaffinity(0, before)
            yield url
    finally:
        os.sched_setaffinity(0, before)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="measured part of a run")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "callflows-answers.json")
    return parser.parse_args()


def run(chosen: argparse.Namespace) -> list[Match]:
    matches = []
    for database in chosen.databases:
        with site_of(database) as site:
            for server in chosen.servers:
                match = Match(server, database, site)
                match.play(chosen.rounds, chosen.seconds)
                matches.append(match)
    return matches


def row(found: dict[str, Any]) -> str:
    value, bounds = found["value"], {">=": found["least"], "<=": found["most"]}
    bound = "".join(f"{sign} {limit:g}" for sign, limit in bounds.items() if limit is not None)
    missing = "" if value is not None else "not measured"
    verdict = {None: missing, True: "met", False: "MISSED"}[found["met"]]
    shown = "-" if value is None else f"{value:.3g}"
    return f"{found['name']:60}{shown:>8} {found['unit']:6}{bound:>8}  {verdict}"


def write(path: Path, about: dict[str, Any], matches: Sequence[Match]) -> None:
    aims = [each for match in matches for each in match.aims()]
    print("\n" + "\n".join(map(row, aims)))
    result = {"machine": about, "aims": aims, "runs": [each for match in matches for each in match.runs]}
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nAll figures: {path}")


def main() -> int:
    # Ended from outside, we still end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_many_sockets()
    chosen, about = arguments(), machine()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load before {about['load_before']}\n")
    try:
        matches = run(chosen)
    except BenchError as error:
        print(f"benchmarks.answers: {error}", file=sys.stderr)
        return 1
    write(chosen.json, about, matches)
    return 0


if __name__ == "__main__":
    sys.exit(main())
