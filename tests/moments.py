"""Runs all tests that need no process of their own at each of the seven moments: `make test-dates`."""

from __future__ import annotations

import os
import subprocess
import sys

from project.bootstrap import ROOT
from tests.dates import MOMENTS
from tests.run import SPREAD, environment
from tests.seed import chosen_seed

CHOSEN = ["-q", "-m", "not process", "-rs", "--no-fold-skipped"]


def run(moment: str, seed: int) -> int:
    print(f"\n== {moment}: {MOMENTS[moment]()}; again: MOMENT={moment} SEED={seed} make test-dates\n", flush=True)
    chance = [f"--randomly-seed={seed}", f"--hypothesis-seed={seed}"]
    variables = {**environment(), "MOMENT": moment, "SEED": str(seed)}
    command = [sys.executable, "-m", "pytest", *SPREAD, *CHOSEN, *chance, *sys.argv[1:]]
    return subprocess.call(command, cwd=ROOT, env=variables)


def main() -> int:
    seed, named = chosen_seed(), os.environ.get("MOMENT")
    failed = [moment for moment in MOMENTS if named in (None, "", moment) and run(moment, seed)]
    print(f"\nFailed at {', '.join(failed)}" if failed else "\nPassed at each moment")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
