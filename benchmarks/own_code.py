"""Measures what our own code takes for a frame, there and back, above an application that only answers."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

from benchmarks.harness.bench import Aim, Bench, main
from benchmarks.harness.servers import BASE_DIR, BenchError, kept_on

MOST_MICROSECONDS = 2.6


def run(bench: Bench) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness.turns"],
        cwd=BASE_DIR,
        env=bench.site.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=kept_on(bench.cores.server),
    )
    if done.returncode:
        raise BenchError(done.stderr.strip()[-2000:])
    for calls, runs in json.loads(done.stdout).items():
        above = [ours - bare for ours, bare in zip(runs["ours"], runs["bare"], strict=True)]
        bench.runs.append({"calls": int(calls), **runs})
        what = "one call" if calls == "1" else f"{calls} calls in turn"
        bench.aims.append(Aim(f"our own code, echo, {what}", median(above), "us/frame", MOST_MICROSECONDS))
        bench.aims.append(Aim(f"an application that only answers, {what}", median(runs["bare"]), "us/frame"))


if __name__ == "__main__":
    sys.exit(main("own_code", 0, run, __doc__))
