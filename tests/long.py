"""Runs what takes long: `make soak` and `make chaos`, or one short seeded round of either with ROUND=short."""

from __future__ import annotations

import os
import subprocess
import sys

from project.bootstrap import ROOT
from tests.run import environment
from tests.seed import chosen_seed

PYTHON = sys.executable
SHORT = os.environ.get("ROUND") == "short"
# How often the machine is troubled: a round takes about half a minute.
CHAOS_ROUNDS = "20"


def soak() -> list[tuple[list[str], dict[str, str]]]:
    """The tests that say more the longer they last, and then calls for ten minutes."""
    tests = ["-m", "pytest", "-q", "-n", "2", "-m", "soak or hypothesis"]
    if SHORT:
        return [(["-m", "benchmarks.soak", "--minutes", "0.5", "--calls", "20"], {})]
    return [(tests, {"LONG": "1"}), (["-m", "benchmarks.soak"], {})]


def chaos() -> list[tuple[list[str], dict[str, str]]]:
    """The tests that kill processes, databases and networks, again and again."""
    rounds = os.environ.get("CHAOS_ROUNDS") or ("1" if SHORT else CHAOS_ROUNDS)
    # A round of the long form may take as long as it does.
    return [(["-m", "pytest", "-o", "faulthandler_timeout=1800", "-m", "chaos"], {"CHAOS_ROUNDS": rounds})]


def main(kind: str) -> int:
    seed = chosen_seed()
    print(f"Seed {seed}; the same again: SEED={seed} make {kind}", flush=True)
    failed = 0
    for command, more in {"soak": soak, "chaos": chaos}[kind]():
        variables = {**environment(), "SEED": str(seed), **more}
        failed |= subprocess.call([PYTHON, *command], cwd=ROOT, env=variables)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
