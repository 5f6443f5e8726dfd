"""Knows what one frame costs between a server and its echo: our own code, without sockets and without the server.

In one process: frames are handed to a line as a server with the short way does it, by a plain call, and what is due
comes back by a plain call. Prints microseconds as JSON, for one call and for many in turn: with many, a frame waits for
memory as well.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from types import SimpleNamespace
from typing import Any, cast

import django
import uvloop

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from callflows.admission import Admission  # noqa: E402  (needs Django to be set up)
from callflows.audio.format import FRAME_SECONDS, Format  # noqa: E402
from callflows.open_socket import OpenSocket  # noqa: E402
from callflows.peer import Peer  # noqa: E402
from callflows.serving.short_way import EXTENSION, ShortWay  # noqa: E402
from callflows.sockets.line import Line  # noqa: E402
from callflows.wire.connection import Connection  # noqa: E402

FORMAT = Format(16000)
CALLS, FRAMES, RUNS = (1, 500), 20_000, 5


class Time:
    """The lines' clock: one frame for each call, and 20 ms are over."""

    now = 1000.0


class Answers:
    """A short way without a connection: it only counts what is sent."""

    def __init__(self) -> None:
        self.hear: Any = None
        self.sent = 0

    def send(self, frame: bytes) -> None:
        self.sent += 1

    def echo(self, frame: bytes) -> None:
        """What an application does that only answers."""
        self.send(frame)


def echoing(way: Answers) -> OpenSocket:
    """Return an open socket whose app is an echo, as the consumer makes it."""
    peer = Peer({"extensions": {EXTENSION: cast(ShortWay, way)}}, cast(Any, None), cast(Any, None))
    line = Line(FORMAT, clock=lambda: Time.now)
    admission = cast(Admission, SimpleNamespace(app="echo", line_id="measured"))
    return OpenSocket(peer, Connection(), admission, line)


async def microseconds(ours: bool, calls: int) -> float:
    """Return what one frame takes of the processor."""
    ways = [Answers() for _ in range(calls)]
    sockets = [echoing(way) for way in ways] if ours else []
    # The apps begin.
    await asyncio.sleep(0)
    hearing = [each._hear for each in sockets] or [each.echo for each in ways]
    gc.collect()
    frame, rounds = bytes(FORMAT.frame_bytes), FRAMES // calls
    begun = time.thread_time()
    for _ in range(rounds):
        Time.now += FRAME_SECONDS
        for hear in hearing:
            hear(frame)
    took = time.thread_time() - begun
    if any(each.sent != rounds for each in ways):
        raise AssertionError("expected each frame to come back")
    for each in sockets:
        each.app.cancel()
    await asyncio.sleep(0)
    return took / (rounds * calls) * 1e6


async def main() -> None:
    found: dict[str, dict[str, list[float]]] = {}
    for calls in CALLS:
        runs = found[str(calls)] = {"bare": [], "ours": []}
        for _ in range(RUNS):
            runs["bare"].append(await microseconds(False, calls))
            runs["ours"].append(await microseconds(True, calls))
    print(json.dumps(found))


if __name__ == "__main__":
    uvloop.run(main())
