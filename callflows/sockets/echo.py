"""Knows how to let callers hear themselves: each frame goes straight back."""

from __future__ import annotations

import asyncio

from callflows.sockets.app import SocketApp
from callflows.sockets.line import Line


async def echo(line: Line) -> str:
    """Send every frame back, until the caller hangs up; never any text."""
    # In the transport's own turn: no task switch a frame.
    line.on_audio = line.play
    await asyncio.Event().wait()
    return "finished"


APP = SocketApp("echo", "Echo: callers hear themselves", echo, outcomes=())
