"""Knows how to build the load generator that is in C, and to run it as the other one is run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.harness import servers
from benchmarks.harness.load import Report
from benchmarks.harness.servers import BenchError, Cores, Server, Site

SOURCE = Path(__file__).parent / "load.c"
# What one core has in it, at nine tenths of it.
MOST_CALLS, MOST_CALLS_IN_PYTHON = 2000, 650


def built(folder: Path) -> Path | None:
    """Build the generator into a folder; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        return None
    target = folder / "load"
    done = subprocess.run(
        [compiler, "-O2", "-o", target, SOURCE, "-lm"], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise BenchError(f"`{compiler}` could not build {SOURCE.name}:\n{done.stderr[-2000:]}")
    return target


def measure(
    program: Path | None, site: Site, server: Server, cores: Cores, calls: int, seconds: float, discard: float
) -> Report:
    """Put so many calls on the server from a process on the other core; return what that one reports."""
    if program is None:
        return servers.measure(site, server, cores, calls, seconds, discard)
    plan = [f"{server.port} {server.process.pid} {seconds} {discard} {calls}", *server.paths(calls)]
    text = "\n".join(plan) + "\n"
    return Report(**servers.reported([program], text, site, server, cores, servers.load_seconds(seconds)))
