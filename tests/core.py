"""Knows how the core is tested: all of it holds, and, with `coverage`, each branch of ncco and payloads is taken."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from project.bootstrap import ROOT
from tests.kinds import CORE
from tests.run import environment

MEASURED = "callflows/ncco,callflows/payloads"
# What draws its examples by chance proves no line, and takes longer.
CHOSEN = ["-q", "-p", "no:randomly", "-m", "not hypothesis", "tests/ncco", "tests/payloads"]
FOLDERS = [f"tests/{name}" for name in CORE]


def covered() -> int:
    """Run the chosen tests; fail when a line or a branch was not taken."""
    with tempfile.TemporaryDirectory(prefix="callflows-coverage-") as folder:
        coverage = [sys.executable, "-m", "coverage"]
        variables = {**environment(), "COVERAGE_FILE": os.path.join(folder, "coverage")}
        run = [*coverage, "run", "--branch", "--source", MEASURED, "-m", "pytest", *CHOSEN]
        report = [*coverage, "report", "--fail-under=100", "--show-missing", "--skip-covered"]
        failed = subprocess.call(run, cwd=ROOT, env=variables)
        return failed or subprocess.call(report, cwd=ROOT, env=variables)


def hold() -> int:
    """Run all tests of the core, on both cores."""
    return subprocess.call(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "core", *FOLDERS, *sys.argv[1:]],
        cwd=ROOT,
        env=environment(),
    )


def main() -> int:
    return covered() if sys.argv[1:] == ["coverage"] else hold()


if __name__ == "__main__":
    sys.exit(main())
