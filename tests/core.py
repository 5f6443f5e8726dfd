"""Knows how the pure core is measured: every branch of ncco and payloads is taken by a test, and that takes no time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from project.bootstrap import ROOT

MEASURED = "callflows/ncco,callflows/payloads"
# What draws its examples by chance proves no line, and takes longer.
CHOSEN = ["-q", "-p", "no:randomly", "-m", "not hypothesis", "tests/ncco", "tests/payloads"]


def main() -> int:
    """Run the core tests, property tests apart, and fail when a line or a branch of the core was not taken."""
    with tempfile.TemporaryDirectory(prefix="callflows-coverage-") as folder:
        coverage = [sys.executable, "-m", "coverage"]
        variables = {**os.environ, "COVERAGE_FILE": os.path.join(folder, "coverage")}
        run = [*coverage, "run", "--branch", "--source", MEASURED, "-m", "pytest", *CHOSEN]
        report = [*coverage, "report", "--fail-under=100", "--show-missing", "--skip-covered"]
        failed = subprocess.call(run, cwd=ROOT, env=variables)
        return failed or subprocess.call(report, cwd=ROOT, env=variables)


if __name__ == "__main__":
    sys.exit(main())
