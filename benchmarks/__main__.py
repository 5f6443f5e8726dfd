"""Runs every measurement of this folder, one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    modules = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    return max((subprocess.call([sys.executable, "-m", f"benchmarks.{module}"]) for module in modules), default=0)


if __name__ == "__main__":
    sys.exit(main())
