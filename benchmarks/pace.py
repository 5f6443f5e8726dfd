"""Measures whether 100 players keep the pace of a far end with another clock, that now and then does not read."""

from __future__ import annotations

import sys

from benchmarks.harness.bench import Aim, Bench, main, scene, value, wrong
from benchmarks.harness.content import LONG
from benchmarks.harness.ears import LEAD
from benchmarks.harness.scenes import Report
from benchmarks.harness.servers import started

CALLS = 100
SECONDS = 25.0
SERVE = ["manage.py", "serve", "--drain", "1", "--port"]


def aims(report: Report | None) -> list[Aim]:
    return [
        Aim("underruns", value(report, "underruns"), "", 0),
        Aim(f"frames above the lead of {LEAD}", value(report, "above"), "", 0),
        Aim("calls that heard nothing", value(report, "silent_calls"), "", 0),
        wrong(report),
        Aim("fewest frames held, most", value(report, "least"), "frames"),
        Aim("most frames held", value(report, "deepest"), "frames"),
        *(
            Aim(f"lateness of a frame, {name}", value(report, key), "ms")
            for name, key in (("p50", "late_p50"), ("p99", "late_p99"), ("most", "late_p100"))
        ),
        Aim("times that a far end did not read", value(report, "stalls")),
    ]


def run(bench: Bench) -> None:
    with started(bench.site, "daphne", SERVE, bench.cores.server, True) as server:
        bench.tried(
            lambda: bench.play(server, "players", scene(server, "pace", bench.seconds, play=(CALLS, LONG))), aims
        )


if __name__ == "__main__":
    sys.exit(main("pace", SECONDS, run, __doc__))
