"""Measures what recording two channels of 100 calls costs against their echo, and whether it ever stops the loop."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.bench import Aim, Bench, main, scene, told, unused
from benchmarks.harness.content import RATE, RECORD
from benchmarks.harness.scenes import Report
from benchmarks.harness.servers import ECHO_NUMBER, Server, started
from callflows.audio.format import SAMPLE_BYTES

CALLS, RUNS = 100, 5
# Runs that are not used are made again, but not for ever.
MOST_ROUNDS = 7
SECONDS = 5.0
SERVE = ["-m", "benchmarks.harness.watched", "serve", "--drain", "1", "--port"]
NUMBERS = {"recording": RECORD, "echo": ECHO_NUMBER}
STALL_MILLISECONDS = 20.0


def stalls(lines: list[dict[str, Any]], start: float, end: float) -> list[dict[str, Any]]:
    """Return when the loop stood still for more than 20 ms by our own doing, between two moments."""
    return [
        each
        for each in lines
        if "stall" in each
        and start <= each["at"] <= end
        and 1000 * (each["stall"] - each["others"]) > STALL_MILLISECONDS
    ]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(bench: Bench) -> None:
    path = bench.site.home / "stalls.jsonl"
    bench.site = replace(bench.site, environment={**bench.site.environment, "BENCH_STALLS": str(path)})
    rounds: list[dict[str, Report]] = []
    with started(bench.site, "daphne", SERVE, bench.cores.server, True) as server:
        for _ in range(MOST_ROUNDS):
            both = {kind: measured(bench, server, kind, number) for kind, number in NUMBERS.items()}
            if used := {kind: report for kind, report in both.items() if report}:
                rounds.append(used)
            if sum(len(each) == len(NUMBERS) for each in rounds) == RUNS:
                break
        lines = lines_of(path)
    judge(bench, rounds, lines)
    bench.aims.append(Aim("recordings that are missing or too short", float(missing(bench)), "", 0))


def measured(bench: Bench, server: Server, kind: str, number: str) -> Report | None:
    """Return one run, or None when it says nothing of the server."""
    report = bench.play(server, kind, scene(server, "talk", bench.seconds, talk=(CALLS, number)))
    # A server that waits for its core does more at once, and seems to need less of it.
    bench.runs[-1]["unused"] = why = unused(report, met=False)
    print(told(bench.runs[-1]), flush=True)
    return None if why else report


def missing(bench: Bench) -> int:
    """Return how many of the calls left no recording of their time on the disk."""
    least = bench.seconds * RATE * SAMPLE_BYTES * 2
    kept = [path for path in bench.site.home.rglob("recordings/open/*.wav") if path.stat().st_size >= least]
    wanted = [each for each in bench.runs if each["label"] == "recording"]
    return CALLS * len(wanted) - len(kept)


def judge(bench: Bench, rounds: list[dict[str, Report]], lines: list[dict[str, Any]]) -> None:
    found = {kind: [each[kind] for each in rounds if kind in each] for kind in NUMBERS}
    for kind, runs in found.items():
        share = 100 * median(each.server_share for each in runs) if runs else None
        bench.aims.append(Aim(f"core for {CALLS} calls, {kind}", share, "%"))
    pairs = [each["recording"].server_share / each["echo"].server_share for each in rounds if len(each) == 2]
    bench.aims.append(Aim(f"recording to echo, median of {len(pairs)} pairs", median(pairs) if pairs else None))
    for kind, runs in found.items():
        own = [each for run in runs for each in stalls(lines, run.begun, run.ended)]
        worst = [1000 * each["worst"] for run in runs for each in lines if "worst" in each and within(each, run)]
        aim = 0.0 if kind == "recording" else None
        bench.aims.append(Aim(f"{kind}: stalls above 20 ms", float(len(own)) if runs else None, "", aim))
        bench.aims.append(Aim(f"{kind}: latest that the loop came by", max(worst, default=None), "ms"))
        opening = [each for run in runs for each in stalls(lines, run.opened, run.begun)]
        bench.aims.append(
            Aim(f"{kind}: stalls above 20 ms while calls are opened", float(len(opening)) if runs else None)
        )
        for each in [*own, *opening]:
            print(f"  {kind}: {1000 * each['stall']:.0f} ms in {each['where'] or 'nothing that could be seen'}")


def within(line: dict[str, Any], report: Report) -> bool:
    # A line's second begins at its time.
    return bool(report.begun <= line["at"] <= report.ended - 1)


if __name__ == "__main__":
    sys.exit(main("recording", SECONDS, run, __doc__))
