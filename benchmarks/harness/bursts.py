"""Knows how sockets of good calls burst and end badly, beside whatever else goes on."""
# ruff: noqa: ASYNC110

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress

from websockets.asyncio.client import ClientConnection

from benchmarks.harness.held import held
from benchmarks.harness.rough import AT_ONCE, BURST_SECONDS, CLOSED, FRAME, FRAMES, RESET

# A peer is dead after 30 s without a sign of life, which is what our kernel still has to send of its
# burst; the rest is the margin of a busy machine.
SILENT_SECONDS = 50.0
LOOK_SECONDS = 0.1


class Bursts:
    """Ends sockets of the server at ``port``, process ``pid``; keeps those that fell silent."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port = pid, port
        # The ids of the lines that ended so.
        self.lines: list[str] = []
        self.last = 0.0
        self.silent: list[ClientConnection] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def begin(self, connection: ClientConnection, ending: str) -> None:
        self.lines.append(connection.request.path.split("/")[2] if connection.request else "")
        task = asyncio.create_task(self._end(connection, ending))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def kept(self) -> int:
        """Return how many half-open ones the server still has when its time for the last is up."""
        if self.tasks:
            await asyncio.wait(self.tasks)
        while (left := self._left()) and time.monotonic() < self.last + SILENT_SECONDS:
            # Polled: another process tells of nothing.
            await asyncio.sleep(LOOK_SECONDS)
        return left

    def _left(self) -> int:
        far = held(self.pid, self.port).far_ports
        open_here = [each for each in self.silent if not each.transport.is_closing()]
        return sum(each.local_address[1] in far for each in open_here)

    async def _end(self, connection: ClientConnection, ending: str) -> None:
        transport = connection.transport
        with suppress(OSError, TimeoutError):
            await self._burst(transport)
        if ending == CLOSED:
            await connection.close()
        elif ending == RESET:
            linger(transport)
            transport.abort()
        elif not transport.is_closing():
            transport.pause_reading()
            self.silent.append(connection)
            self.last = time.monotonic()

    async def _burst(self, transport: asyncio.Transport) -> None:
        transport.write(FRAME * FRAMES)
        async with asyncio.timeout(BURST_SECONDS):
            # Polled: the connection's own wait for this is its library's.
            while transport.get_write_buffer_size() and not transport.is_closing():
                await asyncio.sleep(LOOK_SECONDS)


def linger(transport: asyncio.Transport) -> None:
    """Let the transport end with RST instead of FIN."""
    # A copy of the descriptor: uvloop's sockets take no options.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
