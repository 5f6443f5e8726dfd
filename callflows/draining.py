"""Knows how a server process gives its calls up before it stops: told to their callers, and written down."""

from __future__ import annotations

import asyncio
import logging

from callflows.admission import unanswered
from callflows.consumers import OPEN, THREADS
from callflows.load import Draining

log = logging.getLogger(__name__)

# How often the database is asked whether Vonage's events have come.
DRAIN_SECONDS = 0.1


async def drain(seconds: float) -> None:
    """Refuse new sockets, close and record the open ones, and wait until Vonage's events of them were answered.

    Gives up after ``seconds``.
    """
    Draining.now = True
    closing = [each.socket.admission.line_id for each in OPEN if each.socket]
    await asyncio.gather(*(each.drain() for each in OPEN), return_exceptions=True)
    try:
        async with asyncio.timeout(seconds):
            # The events come to any worker: only the database knows of them all, so it is asked again and again.
            while True:
                if not OPEN and not await THREADS.run(unanswered, closing):
                    return
                await asyncio.sleep(DRAIN_SECONDS)
    except TimeoutError:
        log.warning("stopped after %s s with %d sockets open, or events of closed ones not come", seconds, len(OPEN))
