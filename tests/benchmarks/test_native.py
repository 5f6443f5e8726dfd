"""The load generator in C, against a server of which we know what it does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.harness import native
from benchmarks.harness.servers import Cores, Site, started


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_every_frame_comes_back_and_is_counted(tmp_path: Path) -> None:
    program = native.built(tmp_path)
    assert program is not None
    cores = Cores.choose()
    site = Site(tmp_path, {})
    with started(site, "bare", ["-m", "benchmarks.harness.bare"], cores.server, False) as server:
        report = native.measure(program, site, server, cores, calls=7, seconds=1.0, discard=0.2)
    # One frame of each call before the time, to know that it is open.
    assert (report.calls, report.frames) == (7, 7 + 7 * 50)
    assert (report.lost, report.wrong, report.closed) == (0, 0, 0)
    assert 0 < report.added_p50 <= report.added_p99 <= report.added_max
    assert report.generator_share > 0
