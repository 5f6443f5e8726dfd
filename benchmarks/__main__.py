"""Runs every measurement of this folder, one after the other; the soak, which takes ten minutes alone, apart."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness.report import page

# In this order: what is closest to the limits of the machine first, while it is cool.
MODULES = ("echo", "own_code", "pace", "first_sound", "interruption", "recording", "prompts")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES, help="run only these")
    parser.add_argument("--folder", type=Path, help="where all figures are written (default: in the temporary folder)")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md from the figures")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.gettempdir()) / "callflows-bench"
    folder.mkdir(parents=True, exist_ok=True)
    begun, worst = time.monotonic(), 0
    for module in chosen.only:
        print(f"\n== {module} ==\n", flush=True)
        # What an earlier run left is no figure of this one.
        target = folder / f"{module}.json"
        target.unlink(missing_ok=True)
        command = [sys.executable, "-m", f"benchmarks.{module}", "--json", str(target)]
        worst = max(worst, subprocess.call(command))
    text = page({module: folder / f"{module}.json" for module in MODULES})
    (PAGE if chosen.docs else folder / PAGE.name).write_text(text, encoding="utf-8")
    where = PAGE if chosen.docs else folder / PAGE.name
    print(f"\nAll took {(time.monotonic() - begun) / 60:.0f} minutes; as a page: {where}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
