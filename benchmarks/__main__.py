"""Runs every measurement of this folder, one after the other; the soak, which takes ten minutes alone, apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

APART = {"soak"}


def main() -> int:
    modules = sorted({path.stem for path in Path(__file__).parent.glob("[!_]*.py")} - APART)
    return max((subprocess.call([sys.executable, "-m", f"benchmarks.{module}"]) for module in modules), default=0)


if __name__ == "__main__":
    sys.exit(main())
