"""Knows how the lock files are made: hashes for every platform and Python, and the address of no index."""

from __future__ import annotations

import subprocess
import sys

from project.bootstrap import ROOT

OPTIONS = [
    "--group",
    "site",
    "--universal",
    "--generate-hashes",
    "--python-version",
    "3.11",
    "--no-header",
    "--upgrade",
    "--quiet",
]


def main() -> None:
    """Make all anew: the later ones have more extras, and agree with the first."""
    agreeing = ["--constraint", "requirements.lock"]
    locks = {
        "requirements.lock": [],
        "requirements-deploy.lock": ["--extra", "postgres", "--extra", "uvicorn", *agreeing],
        "requirements-dev.lock": ["--all-extras", "--group", "dev", *agreeing],
    }
    for output, more in locks.items():
        command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, "pyproject.toml", "-o", output, *more]
        subprocess.run(command, cwd=ROOT, check=True)
        print(f"{output} made")


if __name__ == "__main__":
    main()
