"""Knows how the lock files are made: hashes for every platform and Python, and the address of no index."""

from __future__ import annotations

import subprocess
import sys

from project.bootstrap import ROOT

OPTIONS = ["--universal", "--generate-hashes", "--python-version", "3.11", "--no-header", "--upgrade", "--quiet"]


def main() -> None:
    """Make both anew: the dev lock has every extra, and agrees with the other one."""
    dev = ["--all-extras", "--group", "dev", "--constraint", "requirements.lock"]
    for output, more in (("requirements.lock", []), ("requirements-dev.lock", dev)):
        command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, "pyproject.toml", "-o", output, *more]
        subprocess.run(command, cwd=ROOT, check=True)
        print(f"{output} made")


if __name__ == "__main__":
    main()
