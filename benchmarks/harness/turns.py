"""Knows what one frame costs between a server and its echo: our consumer, and beside it three lines that only answer.

In one process, without sockets: both take their messages from our own inbox, which hands them over as servers do.
Prints microseconds as JSON, for one call and for many in turn: with many, a frame waits for memory as well.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import django
import uvloop

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from callflows import consumers  # noqa: E402  (needs Django to be set up)
from callflows.audio.format import FRAME_SECONDS, Format  # noqa: E402
from callflows.serving.inbox import Inbox  # noqa: E402
from callflows.sockets.line import Line  # noqa: E402
from callflows.wire.connection import Connection  # noqa: E402
from callflows.wire.platform import first_message  # noqa: E402

FORMAT = Format(16000)
CALLS, FRAMES, RUNS = (1, 500), 20_000, 5
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Time:
    """The lines' clock: one frame for each call, and 20 ms are over."""

    now = 1000.0


async def answered(message: Any) -> None:
    """What a server's ``send`` would be."""


async def bare(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


async def ours(receive: Receive, send: Send) -> None:
    consumer = consumers.AudioConsumer()
    consumer.receive, consumer.send_out, consumer.connection = receive, send, Connection()
    consumer.connection.receive(json.dumps(first_message(FORMAT, {})))
    consumer.flushing = consumer.gone = consumer.timed = False
    consumer.ready = asyncio.Event()
    line = Line(FORMAT, clock=lambda: Time.now)
    line.on_audio = line.play
    await consumer._listen(line)


async def microseconds(application: Callable[[Receive, Send], Awaitable[None]], calls: int) -> float:
    """Return what one frame takes of the processor."""
    loop = asyncio.get_running_loop()
    inboxes = [Inbox(loop, lambda full: None, FRAMES) for _ in range(calls)]
    tasks = [asyncio.ensure_future(application(each.receive, answered)) for each in inboxes]
    await asyncio.sleep(0)
    gc.collect()
    done: asyncio.Future[float] = loop.create_future()

    def turns() -> None:
        frame, begun = bytes(FORMAT.frame_bytes), time.thread_time()
        for _ in range(FRAMES // calls):
            Time.now += FRAME_SECONDS
            for inbox in inboxes:
                inbox.deliver({"type": "websocket.receive", "bytes": frame})
        done.set_result((time.thread_time() - begun) / (FRAMES // calls * calls) * 1e6)

    loop.call_soon(turns)
    took = await done
    for inbox in inboxes:
        inbox.put_nowait({"type": "websocket.disconnect"})
    await asyncio.wait(tasks)
    return took


async def main() -> None:
    # What lets others have their turn would keep us from going on without the loop.
    consumers.MOST_TURNS = 2 * FRAMES
    found: dict[str, dict[str, list[float]]] = {}
    for calls in CALLS:
        runs = found[str(calls)] = {"bare": [], "ours": []}
        for _ in range(RUNS):
            runs["bare"].append(await microseconds(bare, calls))
            runs["ours"].append(await microseconds(ours, calls))
    print(json.dumps(found))


if __name__ == "__main__":
    uvloop.run(main())
