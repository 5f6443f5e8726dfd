"""Knows all that `make test` does: the tests, the checks beside them, and in the last lines what failed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from project.bootstrap import ROOT
from tests.dates import MOMENTS
from tests.seed import chosen_seed

PYTHON = sys.executable
# Production settings with values that mean nothing: nobody is asked at these addresses.
PRODUCTION = {
    "PRODUCTION": "1",
    "SECRET_KEY": "not-a-secret-but-long-enough-for-a-check-0123456789-abcdef",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "PUBLIC_URL": "https://calls.example.com",
    "SIGNATURE_SECRETS": "a1b2c3d4:not-a-secret-but-long-enough-for-a-check",
}
CHECKS = {
    "mypy": ["-m", "mypy"],
    "core": ["-m", "tests.core"],
    "coverage": ["-m", "tests.core", "coverage"],
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "djlint": ["-m", "djlint", "templates", "callflows/templates", "--lint", "--quiet"],
    "migrations": ["manage.py", "makemigrations", "--check", "--dry-run"],
    "deploy": ["manage.py", "check", "--deploy", "--fail-level", "WARNING"],
    "static files": ["manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
}
# Calls last as long as they last: three processes keep two cores busy while others wait for theirs to end.
SPREAD = ["-n", "3", "--dist", "loadscope", "--no-loadscope-reorder"]
# Each skipped test by its name, with its reason, and what costs most.
TOLD = ["-rsfE", "--no-fold-skipped", "--durations=20"]
ON_PRODUCTION_SETTINGS = ("deploy", "static files")
NOT_FOR_CHECKS = ("ADMIN_PASSWORD", "PORT", "MOMENT")


def environment() -> dict[str, str]:
    """Return the machine's environment; compiled files are kept, or each process compiles all of them anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def check(name: str, folder: str, moment: str) -> tuple[bool, str]:
    """Run one check in a data folder of its own; return whether it passed, and what to tell of it."""
    begun = time.monotonic()
    machine = {each: value for each, value in environment().items() if each not in (*PRODUCTION, *NOT_FOR_CHECKS)}
    variables = {**machine, "DATA_DIR": folder, **particular(name, moment)}
    done = subprocess.run(
        [PYTHON, *CHECKS[name]], cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    passed = done.returncode == 0
    told = f"{name:13} {'ok' if passed else 'FAILED'} {time.monotonic() - begun:5.1f} s"
    return passed, told if passed else f"{told}\n{done.stdout.decode(errors='replace')}"


def particular(name: str, moment: str) -> Mapping[str, str]:
    """Return the variables that one check needs and the others do not."""
    if name == "core":
        return {"MOMENT": moment}
    return PRODUCTION if name in ON_PRODUCTION_SETTINGS else {}


def check_all(moment: str) -> dict[str, tuple[bool, str]]:
    """Run all checks, one after the other."""
    with tempfile.TemporaryDirectory(prefix="callflows-checks-") as folder:
        return {name: check(name, os.path.join(folder, name.replace(" ", "-")), moment) for name in CHECKS}


def see_to_chromium() -> bool:
    """Install Debian's Chromium where we may, else say what to do."""
    if os.path.exists(os.environ.get("CHROMIUM", "/usr/bin/chromium")):
        return True
    command = "apt-get update && apt-get install --yes chromium"
    if "CHROMIUM" not in os.environ and os.geteuid() == 0 and shutil.which("apt-get"):
        print(
            "Setting up: the browser tests need Chromium, and none is here. Installing Debian's with apt-get:",
            flush=True,
        )
        print(
            "about 400 MB, once, a minute or two; set CHROMIUM to the path of one to use that instead ...", flush=True
        )
        if subprocess.call(command, shell=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}) == 0:
            return True
    print(f"chromium      FAILED: the browser tests need one; run: {command}, or set CHROMIUM to the path of one")
    return False


def test(seed: int) -> int:
    """Run all tests; the seed gives their order and what they draw by chance."""
    chance = [f"--randomly-seed={seed}", f"--hypothesis-seed={seed}"]
    variables = {**environment(), "SEED": str(seed)}
    return subprocess.call([PYTHON, "-m", "pytest", *SPREAD, *TOLD, *chance, *sys.argv[1:]], cwd=ROOT, env=variables)


def main() -> int:
    begun, seed = time.monotonic(), chosen_seed()
    moment = os.environ.pop("MOMENT", "") or list(MOMENTS)[seed % len(MOMENTS)]
    print(f"Seed {seed}; the same again: SEED={seed} make test", flush=True)
    failed = [] if see_to_chromium() else ["chromium"]
    print(f"Beside the tests: {', '.join(CHECKS)}; the core's tests as if it were {moment} ...", flush=True)
    # Tests wait for their processes a quarter of their time; the checks compute.
    with ThreadPoolExecutor(1) as beside:
        checks = beside.submit(check_all, moment)
        tests = test(seed)
    print("Checks beside them:")
    print(*(told for _, told in checks.result().values()), sep="\n", flush=True)
    failed += [name for name, (passed, _) in checks.result().items() if not passed]
    spent = os.times()
    processor = spent.children_user + spent.children_system
    print(f"make test: {time.monotonic() - begun:.0f} s, {processor:.0f} s of processor; SEED={seed}, core at {moment}")
    if failed:
        print(f"Failed besides the tests: {', '.join(failed)}; see above.")
    return tests or bool(failed)


if __name__ == "__main__":
    sys.exit(main())
