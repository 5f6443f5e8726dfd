"""Runs every measurement of this folder within 15 minutes, and puts all figures into one file.

The soak, the lost sockets and the abuse are apart: they look for faults, and take long.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.report import page

MOST_SECONDS = 15 * 60
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
# It takes ten minutes alone.
APART = {"soak", "sockets_lost", "abuse"}
# The last one searches as long as it is given time, less what it takes to make its site and to end its servers.
LAST, LAST_OVERHEAD = "echo", 60
# What a module that ran out of time gets to end its servers.
END_SECONDS = 20
BOUNDS = {"least": ">=", "most": "<="}


def modules() -> list[str]:
    found = {path.stem for path in Path(__file__).parent.glob("[!_]*.py")} - APART
    return [*sorted(found - {LAST}), LAST]


def run(module: str, path: Path, seconds: float) -> str:
    """Run one measurement, which writes its figures to ``path``; return what went wrong, empty when nothing did."""
    if seconds <= END_SECONDS:
        return f"not begun: {MOST_SECONDS / 60:g} minutes were over"
    budget = ["--budget", f"{max(0.0, seconds - LAST_OVERHEAD):.0f}"] if module == LAST else []
    process = subprocess.Popen([sys.executable, "-m", f"benchmarks.{module}", "--json", str(path), *budget])
    try:
        code = process.wait(seconds - END_SECONDS)
    except subprocess.TimeoutExpired:
        return f"ended: {MOST_SECONDS / 60:g} minutes were over"
    finally:
        # Ended from outside or out of time, it still ends what it started.
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return f"ended with {code}" if code else ""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "callflows-bench.json")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md from the figures")
    chosen = parser.parse_args()
    deadline = time.monotonic() + MOST_SECONDS
    results: dict[str, Any] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="callflows-bench-") as folder:
        for module in modules():
            print(f"\n== {module}\n", flush=True)
            path = Path(folder) / f"{module}.json"
            if why := run(module, path, deadline - time.monotonic()):
                failed[module] = why
            if path.exists():
                results[module] = json.loads(path.read_text(encoding="utf-8"))
    chosen.json.write_text(json.dumps({"failed": failed, **results}, indent=2) + "\n", encoding="utf-8")
    tell(results, failed)
    print(f"\nThe figures of all: {chosen.json}")
    if chosen.docs:
        PAGE.write_text(page(results), encoding="utf-8")
        print(f"As a page: {PAGE}")
    return int(bool(failed))


def tell(results: dict[str, Any], failed: dict[str, str]) -> None:
    """Say which aims were missed, and which could not be measured."""
    for module, result in results.items():
        for aim in result.get("aims", ()):
            bounds = [f"{sign} {aim[key]:g}" for key, sign in BOUNDS.items() if aim.get(key) is not None]
            if bounds and not aim["met"]:
                verdict = "not measured" if aim["value"] is None else f"MISSED: {aim['value']:.4g}"
                print(f"{module}: {aim['name']} (aim {' '.join(bounds)}): {verdict}")
    for module, why in failed.items():
        print(f"{module}: {why}")


if __name__ == "__main__":
    sys.exit(main())
