"""Measures how soon a key stops a prompt, with 100 calls that hear one: on the wire, and on the caller's ear."""

from __future__ import annotations

import sys

from benchmarks.harness.bench import Aim, Bench, main, scene, value, wrong
from benchmarks.harness.content import MENU
from benchmarks.harness.scenes import Report
from benchmarks.harness.servers import started

CALLS = 100
SECONDS = 20.0
SERVE = ["manage.py", "serve", "--drain", "1", "--port"]


def aims(report: Report | None) -> list[Aim]:
    missing = None if report is None else float(report.figures["keys"] - report.figures["answers"])
    return [
        Aim("keys pressed", value(report, "keys")),
        Aim("keys without clear", missing, "", 0),
        Aim("from the key sent to clear received, p50", value(report, "clear_p50"), "ms"),
        Aim("from the key sent to clear received, p99", value(report, "clear_p99"), "ms", 20),
        Aim("from the key sent to clear received, most", value(report, "clear_max"), "ms"),
        Aim("old frames received after clear", value(report, "old_frames"), "", 0),
        Aim("old frames played after clear", value(report, "old_heard"), "", 0),
        Aim("last old sample played after the key, p99", value(report, "last_old_p99"), "ms"),
        Aim("last old sample played after the key, most", value(report, "last_old_max"), "ms", 45),
        Aim("keys that found nothing playing", value(report, "idle"), "", 0),
        wrong(report),
    ]


def run(bench: Bench) -> None:
    with started(bench.site, "daphne", SERVE, bench.cores.server, True) as server:
        bench.tried(
            lambda: bench.play(server, "menus", scene(server, "interruption", bench.seconds, menu=(CALLS, MENU))), aims
        )


if __name__ == "__main__":
    sys.exit(main("interruption", SECONDS, run, __doc__))
