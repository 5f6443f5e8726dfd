"""Measures how soon after `websocket:connected` the first sound comes, alone and beside 100 calls that play."""

from __future__ import annotations

import sys
from functools import partial

from benchmarks.harness.bench import Aim, Bench, main, scene, value, wrong
from benchmarks.harness.content import LONG, LONG_SECONDS, SHORT, SHORT_SECONDS
from benchmarks.harness.scenes import Report
from benchmarks.harness.servers import Server, started

TIMES = 50
# How many others play, and the aim for the p99, in milliseconds.
CASES = ((0, 8.0), (100, 15.0))
SERVE = ["manage.py", "serve", "--drain", "1", "--port"]
LENGTHS = {"long": LONG_SECONDS, "short": SHORT_SECONDS}


def aims(report: Report | None, others: int, most: float) -> list[Aim]:
    beside = f"beside {others} calls" if others else "at 1 call"
    found = [
        Aim(f"first sound {beside}, prompt of {seconds:g} s, {part}", value(report, f"{kind}_{part}"), "ms", aim)
        for kind, seconds in LENGTHS.items()
        for part, aim in (("p50", None), ("p99", most))
    ]
    return [*found, *([wrong(report)] if others else [])]


def measure(bench: Bench, server: Server, others: int) -> Report:
    kinds = {"play": (others, LONG), "long": (TIMES, LONG), "short": (TIMES, SHORT)}
    return bench.play(server, f"beside {others}", scene(server, "first_sound", 0.0, **kinds))


def run(bench: Bench) -> None:
    with started(bench.site, "daphne", SERVE, bench.cores.server, True) as server:
        # The first calls of a process import and connect what later ones find.
        kinds = {"play": (0, LONG), "long": (2, LONG), "short": (2, SHORT)}
        bench.play(server, "warm-up, not used", scene(server, "first_sound", 0.0, **kinds))
        bench.runs.clear()
        for others, most in CASES:
            bench.tried(
                partial(measure, bench, server, others),
                partial(aims, others=others, most=most),
            )


if __name__ == "__main__":
    sys.exit(main("first_sound", 0.0, run, __doc__))
