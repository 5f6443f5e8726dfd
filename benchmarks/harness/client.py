"""Knows the caller's end of one socket, as little of it as possible: masked frames out, their echoes in, both timed."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import random
import time
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from callflows.audio.format import FRAME_SECONDS, Format
from callflows.wire.platform import first_message

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FORMAT = Format(16000)
# A real client takes a new mask for each message. One will do here: it costs a server the same, and us nothing.
MASK = bytes.fromhex("5a17c3e8")
NUMBER_MASK = int.from_bytes(MASK)
# A frame is its number in 4 bytes, so that echoes are known one from another, then noise.
NOISE = random.Random(1).randbytes(FORMAT.frame_bytes - 4)
ECHO_HEAD = bytes([0x80 | BINARY, 126]) + FORMAT.frame_bytes.to_bytes(2)
ECHO_BYTES = len(ECHO_HEAD) + FORMAT.frame_bytes


def masked(opcode: int, payload: bytes) -> bytes:
    """Return one message as a client sends it; ``payload`` has at most 65,535 bytes."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + size.to_bytes(2)
    key = (MASK * (size // 4 + 1))[:size]
    body = int.from_bytes(payload) ^ int.from_bytes(key)
    return bytes([0x80 | opcode]) + length + MASK + body.to_bytes(size)


def take_messages(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Cut whole messages of a server off the front of ``buffer``, as opcode and payload."""
    while len(buffer) >= 2:
        head, size = 2, buffer[1] & 0x7F
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:head])
        if len(buffer) < head + size:
            return
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[head : head + size])
        del buffer[: head + size]
        yield opcode, payload


_FRAME = masked(BINARY, bytes(4) + NOISE)
FRAME_HEAD, FRAME_REST = _FRAME[:8], _FRAME[12:]


@dataclass
class Timings:
    """Seconds, one for each frame of the measured time, of all calls together."""

    measured_from: float = math.inf
    # How much later than planned a frame left us, which is our own fault.
    lateness: array[float] = field(default_factory=lambda: array("d"))
    # From the moment at which a frame should have left us, and from the one at which it did, until its echo came.
    added: array[float] = field(default_factory=lambda: array("d"))
    since_sent: array[float] = field(default_factory=lambda: array("d"))


class Socket(asyncio.Protocol, ABC):
    """A client's end of one socket: opens it, then calls `begin`, and `take` for each message that comes."""

    def __init__(self, host: str, path: str) -> None:
        self.host, self.path = host, path
        loop = asyncio.get_running_loop()
        # Done when the socket is open and of use.
        self.ready: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.shaken = False
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop's transport is none of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(random.randbytes(16)).decode()
        self.transport.write(
            f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.buffer += data
        if self.shaken or self.shake():
            for opcode, payload in take_messages(self.buffer):
                self.take(opcode, payload, now)

    def shake(self) -> bool:
        """Read the server's answer to the handshake; return whether it was all there."""
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101"):
            self.fail(f"expected the handshake to be answered with 101, got {head.splitlines()[0].decode()!r}")
            return False
        self.buffer, self.shaken = rest, True
        self.begin()
        return True

    @abstractmethod
    def begin(self) -> None:
        """Send the first messages."""

    def take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == CLOSE:
            self.fail(f"the server closed the socket with code {int.from_bytes(payload[:2])}")
        elif opcode == PING:
            self.transport.write(masked(PONG, payload))

    def fail(self, reason: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
        self.transport.close()

    def hang_up(self) -> None:
        self.transport.write(masked(CLOSE, (1000).to_bytes(2)))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"the connection ended before it was of use: {error}"))
        if not self.closed.done():
            self.closed.set_result(None)


class Call(Socket):
    """One echo call. Counts: ``echoed`` frames that came back whole and in order, ``wrong`` ones, other ``texts``.

    It is ready when the first echo came: the socket is open and its app at work.
    """

    def __init__(self, host: str, path: str, timings: Timings) -> None:
        super().__init__(host, path)
        self.timings = timings
        self.echoed = self.wrong = self.texts = 0
        self.planned: list[float] = []
        self.sent: list[float] = []

    def data_received(self, data: bytes) -> None:
        # The hot path: one whole echo, as it nearly always comes.
        if len(data) == ECHO_BYTES and not self.buffer and data.startswith(ECHO_HEAD):
            self.echo(data[4:], time.monotonic())
        else:
            super().data_received(data)

    def begin(self) -> None:
        self.transport.write(masked(TEXT, json.dumps(first_message(FORMAT, {"app": "echo"})).encode()))
        self.send(time.monotonic())

    def take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == BINARY:
            self.echo(payload, now)
        else:
            self.texts += opcode == TEXT
            super().take(opcode, payload, now)

    def send(self, planned: float) -> None:
        """Send the next frame, which should have left at ``planned``."""
        number = len(self.sent) ^ NUMBER_MASK
        now = time.monotonic()
        self.transport.write(FRAME_HEAD + number.to_bytes(4) + FRAME_REST)
        self.planned.append(planned)
        self.sent.append(now)
        if planned >= self.timings.measured_from:
            self.timings.lateness.append(now - planned)

    def echo(self, frame: bytes, now: float) -> None:
        number = int.from_bytes(frame[:4])
        if number != self.echoed + self.wrong or number >= len(self.sent) or frame[4:] != NOISE:
            self.wrong += 1
            return
        self.echoed += 1
        planned = self.planned[number]
        if number == 0 and not self.ready.done():
            self.ready.set_result(None)
        elif planned >= self.timings.measured_from:
            self.timings.added.append(now - planned)
            self.timings.since_sent.append(now - self.sent[number])


class Schedule:
    """Sends the frames of all calls, each at its own phase, by deadlines that lateness does not move."""

    def __init__(self, calls: list[Call], start: float, seconds: float) -> None:
        phases = random.Random(len(calls))
        self.calls, self.start = calls, start
        # Every call has the same period, so the order of the first round is the order of all.
        self.phases = sorted(phases.random() * FRAME_SECONDS for _ in calls)
        self.total = round(seconds / FRAME_SECONDS) * len(calls)
        self.next = 0
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()

    def due(self) -> float:
        turn, place = divmod(self.next, len(self.calls))
        return self.start + turn * FRAME_SECONDS + self.phases[place]

    def tick(self) -> None:
        """Send what is due, and come again for the next; a loop's timer has no more than milliseconds."""
        while (due := self.due()) <= time.monotonic():
            if self.next >= self.total:
                self.done.set_result(None)
                return
            call = self.calls[self.next % len(self.calls)]
            if not call.closed.done():
                call.send(due)
            self.next += 1
        self.loop.call_later(max(0.001, due - time.monotonic()), self.tick)
