"""Knows the rival of the tutorials: an echo with express-ws on Node, installed by npm for one measurement."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "node"
INSTALL_SECONDS = 120


def installed(folder: Path) -> tuple[list[str], str]:
    """Return the command that serves it, less the port; or none, and why there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return [], f"there is no {'npm' if node else 'node'} here"
    target = folder / "node"
    shutil.copytree(SOURCE, target, ignore=shutil.ignore_patterns("node_modules"))
    try:
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=target,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return [], f"npm did not install express-ws within {INSTALL_SECONDS} s"
    if done.returncode:
        return [], f"npm could not install express-ws: {done.stderr.strip()[-300:]}"
    return [node, str(target / "echo.js")], ""


def version() -> str:
    node = shutil.which("node")
    return (
        subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip() if node else ""
    )
