"""Knows a small ASGI application, to try the servers with: `python -m tests.tiny daphne PORT [stuck] [quick] [strict]`.

"quick" asks silent clients for a pong after a second, and waits two more for it. "strict" lets 12 connections in, 4 of
an address that ask for nothing, and gives each a second for its head and another for its body.

/slow answers after a second, /large with 32 MB; a POST is told how much it brought. A socket echoes, at /short by the
short way; one at /flood sends without end; /forged is told to who brings a token that is none of ours. Each tells what
befell it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from importlib import import_module
from typing import Any

from callflows import serving
from callflows.serving import door, with_access_log
from callflows.serving.proxies import LOOPBACK, Proxies
from callflows.serving.short_way import EXTENSION, ShortWay
from callflows.serving.strangers import FORGERS
from project.logs import LineFormatter

FRAME = b"x" * 640
# Parts of 64 kB in what /large answers, more than any buffer on the way holds.
LARGE = 500
OPEN: set[Any] = set()
CLOSED = asyncio.Event()
PEERS: dict[str, ShortWay] = {}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
        return
    took = await taken(receive)
    await asyncio.sleep(1 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/large":
        for _ in range(LARGE):
            await send({"type": "http.response.body", "body": FRAME * 100, "more_body": True})
    body = str(took) if scope["method"] == "POST" else json.dumps(peers())
    await send({"type": "http.response.body", "body": body.encode()})


async def taken(receive: Any) -> int:
    """Take a request's body; return how many bytes it had."""
    count = 0
    while (message := await receive())["type"] == "http.request":
        count += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    return count


def peers() -> dict[str, Any]:
    """Return what the short ways tell of those who spoke last at each path."""
    return {path: {"dropped": way.dropped, "ended": way.ended} for path, way in PEERS.items()}


async def talk(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    if scope["path"] == "/forged":
        FORGERS.spend(LOOPBACK.origin_of(scope), time.monotonic())
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    way = PEERS[scope["path"]] = scope["extensions"][EXTENSION]
    if scope["path"] == "/short":
        way.begin(len(FRAME), way.send)
    OPEN.add(send)
    CLOSED.clear()
    flood = asyncio.create_task(flood_with(send)) if scope["path"] == "/flood" else None
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message.get("bytes") or b"?"})
    if flood:
        flood.cancel()
    # An application has things to write down when its socket is closed.
    await asyncio.sleep(0.1)
    print(f"{scope['path'].split('/')[1]} written down, code {message['code']}", flush=True)
    OPEN.discard(send)
    if not OPEN:
        CLOSED.set()


async def flood_with(send: Any) -> None:
    while True:
        for _ in range(50):
            await send({"type": "websocket.send", "bytes": FRAME})
        await asyncio.sleep(0.01)


async def drain(seconds: float) -> None:
    if "stuck" in sys.argv:
        await asyncio.sleep(60)
    if not OPEN:
        CLOSED.set()
    for send in list(OPEN):
        await send({"type": "websocket.close", "code": 1000})
    async with asyncio.timeout(seconds):
        await CLOSED.wait()
    print("drained", flush=True)


def main() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    server = import_module(f"callflows.serving.on_{sys.argv[1]}")
    serving.STUCK_SECONDS = 1
    if "quick" in sys.argv:
        serving.PING_SECONDS, serving.PONG_SECONDS = 1, 2
    at_the_door = None
    if "strict" in sys.argv:
        door.HEAD_SECONDS = door.BODY_SECONDS = 1
        door.MOST_WAITING = 4
        at_the_door = door.Door(12, Proxies())
    server.run(with_access_log(application), "127.0.0.1", int(sys.argv[2]), drain, 5, door=at_the_door)


if __name__ == "__main__":
    main()
