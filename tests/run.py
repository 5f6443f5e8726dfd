"""Knows all that `make test` does: the checks, then the tests, whose last line ends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time

from project.bootstrap import ROOT

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
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
    "djlint": ["-m", "djlint", "templates", "--lint", "--quiet"],
    "core": ["-m", "tests.core"],
    "migrations": ["manage.py", "makemigrations", "--check", "--dry-run"],
    "deploy": ["manage.py", "check", "--deploy", "--fail-level", "WARNING"],
    "static files": ["manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
}
# Calls last as long as they last: three processes keep two cores busy while others wait for theirs to end.
SPREAD = ["-n", "3", "--dist", "worksteal"]
ON_PRODUCTION_SETTINGS = ("deploy", "static files")


def check(name: str, folder: str) -> bool:
    """Run one check in a data folder of its own; print its output only when it failed."""
    begun = time.monotonic()
    machine = {each: value for each, value in os.environ.items() if each not in (*PRODUCTION, "ADMIN_PASSWORD", "PORT")}
    variables = {**machine, "DATA_DIR": folder, **(PRODUCTION if name in ON_PRODUCTION_SETTINGS else {})}
    done = subprocess.run(
        [PYTHON, *CHECKS[name]], cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    print(f"{name:13} {'ok' if done.returncode == 0 else 'FAILED'} {time.monotonic() - begun:5.1f} s", flush=True)
    if done.returncode:
        print(done.stdout.decode(errors="replace"), flush=True)
    return done.returncode == 0


def see_to_chromium() -> bool:
    """Install Debian's Chromium where we may, else say what to do."""
    if os.path.exists(os.environ.get("CHROMIUM", "/usr/bin/chromium")):
        return True
    command = "apt-get update && apt-get install --yes chromium"
    if "CHROMIUM" not in os.environ and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests ...", flush=True)
        if subprocess.call(command, shell=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}) == 0:
            return True
    print(f"chromium      FAILED: the browser tests need one; run: {command}, or set CHROMIUM to the path of one")
    return False


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="callflows-checks-") as folder:
        failed = [name for name in CHECKS if not check(name, folder)]
    if not see_to_chromium():
        failed.append("chromium")
    if failed:
        print(f"\nFailed: {', '.join(failed)}. The tests run all the same.\n", flush=True)
    tests = subprocess.call([PYTHON, "-m", "pytest", *SPREAD, *sys.argv[1:]], cwd=ROOT)
    return tests or bool(failed)


if __name__ == "__main__":
    sys.exit(main())
