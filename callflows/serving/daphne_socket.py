"""Knows daphne's side of one WebSocket: audio goes past Autobahn, all else through it; a deaf peer is ended."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import Any

from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import tcp

from callflows.serving import KERNEL_BYTES, PING_SECONDS, PONG_SECONDS, STUCK_SECONDS, UNSENT_FRAMES, WAITING, Message
from callflows.serving.frames import HEADS, SIZES, take
from callflows.serving.inbox import Inbox

log = logging.getLogger(__name__)

# Read at one time: a hundred frames of a peer that catches up.
READ_BYTES = 64 * 1024


class Socket(WebSocketProtocol):  # type: ignore[misc]  # daphne has no types
    """A WebSocket whose audio messages take a short way: from the kernel to the application in one turn, and back.

    Only what is sure takes it: a whole, uncompressed binary message of one of three sizes, with nothing of another
    message before it. Whatever else comes goes through Autobahn, which knows the protocol. Daphne's own send never
    waits, so what a deaf peer leaves unsent is counted here.
    """

    def __init__(self) -> None:
        super().__init__()
        # What the consumer may read, as scope["callflows.peer"].
        self.figures: dict[str, Any] = {"dropped": 0}
        # Bytes of the last frame that was to be sent, and since when too much waits.
        self.size = SIZES[0]
        self.full_since: float | None = None
        self.loop = asyncio.get_running_loop()
        self.inbox = Inbox(self.loop, self.pace, WAITING)
        self.kernel: socket.socket | None = None
        self.reading = 0
        # The beginning of an audio message whose end has not come yet.
        self.begun = b""

    def connectionMade(self) -> None:
        self.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        super().connectionMade()

    def onOpen(self) -> None:
        super().onOpen()
        # Not of TLS, which has bytes of its own in between.
        if type(self.transport) is tcp.Server:
            self.take_over()

    # In.

    def take_over(self) -> None:
        """Read from the kernel by ourselves: Twisted's way there, by its log's context, takes 10 microseconds.

        Twisted's transport stays in charge of the connection: it starts and stops the reading through these two.
        """
        self.kernel = self.transport.getHandle()
        self.transport.stopReading()
        self.transport.startReading, self.transport.stopReading = self.start_reading, self.stop_reading
        self.start_reading()

    def give_back(self) -> None:
        """Let Twisted read, which then finds the end of the connection, or what is wrong with it."""
        self.stop_reading()
        del self.transport.startReading, self.transport.stopReading
        self.transport.startReading()

    def start_reading(self) -> None:
        if self.transport.connected and not self.reading:
            self.reading = self.transport.fileno()
            self.loop.add_reader(self.reading, self.read)

    def stop_reading(self) -> None:
        if self.reading:
            self.loop.remove_reader(self.reading)
            self.reading = 0

    def pace(self, full: bool) -> None:
        """Read nothing more while the application has enough to do."""
        if full:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def read(self) -> None:
        try:
            data = self.kernel.recv(READ_BYTES) if self.kernel else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.give_back()
            return
        try:
            self.dataReceived(data)
        except Exception:
            log.exception("a socket failed, and is ended")
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self.begun:
            data, self.begun = self.begun + data, b""
        if self.state == self.STATE_OPEN and self.current_frame is None and not self.data and not self.inside_message:
            frames, data, begun = take(data)
            if frames:
                self.alive()
                for frame in frames:
                    self.inbox.deliver({"type": "websocket.receive", "bytes": frame})
            if begun:
                self.begun = data
                return
        if data:
            super().dataReceived(data)

    def alive(self) -> None:
        """Do what daphne and Autobahn do when a message has come: no ping is needed now, nor its answer."""
        self.last_ping = time.time()
        if self.autoPingTimeoutCall:
            self._cancelAutoPingTimeoutCall()

    # Out.

    async def reply(self, message: Message) -> None:
        """What the application awaits as ``send``."""
        frame = message.get("bytes")
        if (
            type(frame) is bytes
            and (head := HEADS.get(len(frame)))
            and self.state == self.STATE_OPEN
            and message["type"] == "websocket.send"
            and not message.get("text")
            and self._perMessageCompress is None
        ):
            self.write(head + frame)
        else:
            await self.server.handle_reply(self, message)

    def write(self, data: bytes) -> None:
        """Write audio: straight to the kernel, unless something waits to be written before it."""
        transport = self.transport
        if transport.dataBuffer or transport._tempDataBuffer or self.kernel is None:
            self.queue(data)
            return
        try:
            sent = self.kernel.send(data)
        except OSError:
            # It takes nothing now, or the peer has gone: Twisted tries again, and knows what to do then.
            sent = 0
        if sent < len(data):
            transport.write(data[sent:])

    def queue(self, data: bytes) -> None:
        if self.is_full(len(data)):
            self.figures["dropped"] += 1
        else:
            self.transport.write(data)

    def serverSend(self, content: Any, binary: bool = False) -> None:
        if binary and self.is_full(len(content)):
            self.figures["dropped"] += 1
        else:
            super().serverSend(content, binary)

    def unsent(self) -> int:
        """Return how many bytes wait in this process for the peer to read."""
        transport = self.transport
        return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)

    def is_full(self, size: int) -> bool:
        """Whether so much waits for the peer to read that another frame of ``size`` bytes would come too late."""
        self.size = max(size, SIZES[0])
        if self.unsent() <= UNSENT_FRAMES * self.size:
            self.full_since = None
            return False
        self.full_since = self.full_since or time.monotonic()
        return True

    def check_timeouts(self) -> None:
        """Do daphne's checks, every 2 s, and end the connection of a peer that has been stuck for too long."""
        super().check_timeouts()
        if self.is_full(self.size) and self.full_since and time.monotonic() - self.full_since > STUCK_SECONDS:
            self.figures["ended"] = f"it did not read for {STUCK_SECONDS} s"
            self.transport.abortConnection()

    def onAutoPingTimeout(self) -> None:
        self.figures["ended"] = f"neither a frame nor a pong came for {PING_SECONDS + PONG_SECONDS} s"
        super().onAutoPingTimeout()
