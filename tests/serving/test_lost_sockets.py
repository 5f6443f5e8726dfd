"""Callers burst and end badly: nothing is left of them, and the server goes on watching all others.

The long form, with 1,000 callers and a server as deployed: `python -m benchmarks.sockets_lost`.
"""

from __future__ import annotations

import pytest

from benchmarks.harness.rough import Where, manners
from benchmarks.sockets_lost import Limits, abuse, trouble_in
from tests.services import Deployment, free_port, rows

# On a server that lost sockets each of six seeds showed it: two to four of eight that were reset.
SEED, SOCKETS, FRAMES = 20, 24, 4000
OPEN = "SELECT id FROM callflows_line WHERE state = 'open'"
# After 6 s a peer is dead, daphne looks every 2 s, and others use the machine.
LIMITS = Limits(closed=10.0, silent=20.0)


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_nothing_is_left_of_callers_who_end_badly(on_sqlite: Deployment, server: str) -> None:
    port = free_port()
    command = ["-m", "tests.quick", "serve", "--with", server, "--port", str(port)]
    process = on_sqlite.start(command, {"LOG_LEVEL": "WARNING"}, port)
    process.wait_until_it_answers()

    def open_lines() -> set[str]:
        return {name for (name,) in rows(on_sqlite, OPEN)}

    every = manners(SOCKETS, SEED)
    result = abuse(
        server,
        process.popen.pid,
        Where(port),
        open_lines,
        every,
        at_once=12,
        frames=FRAMES,
        limits=LIMITS,
    )
    assert result.failures + trouble_in(process.said()) == []
    assert process.popen.poll() is None
