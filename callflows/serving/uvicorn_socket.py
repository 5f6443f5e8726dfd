"""Knows uvicorn's side of one WebSocket: audio goes past the parser, all else through it; a deaf peer is ended."""

from __future__ import annotations

import socket
from asyncio import BaseTransport, TimerHandle
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from callflows.serving import KERNEL_BYTES, PING_SECONDS, PONG_SECONDS, STUCK_SECONDS, UNSENT_FRAMES, WAITING
from callflows.serving.boundaries import Boundaries
from callflows.serving.frames import BEFORE, HEADS, take
from callflows.serving.inbox import Inbox

# Uvicorn makes applications wait above this many unsent bytes; ours must never: it drops instead.
NEVER_WAIT = 1 << 30


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket whose audio messages take a short way to the application and back.

    Only what is sure takes it: a whole, uncompressed binary message of one of three sizes, between other messages.
    Whatever else comes goes through the parser of `websockets`, by uvicorn's own way.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # What the consumer may read, as scope["callflows.peer"].
        self.figures: dict[str, Any] = {"dropped": 0}
        self.inbox = Inbox(self.loop, self.pace, WAITING)
        self.queue = self.inbox  # type: ignore[assignment]  # uvicorn only ever puts into it
        # Uvicorn stops reading at each message that waits; we do at many.
        self.read_paused = True
        # The beginning of an audio message whose end has not come yet.
        self.begun = b""
        # Where the parser is; only between messages others may take the short way.
        self.parsed = Boundaries()
        self.between = False
        self.heard_at = self.loop.time()
        self.watch: TimerHandle | None = None
        self.stuck: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        self.transport.set_write_buffer_limits(NEVER_WAIT)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.conn.close_rcvd is None and not self.close_sent:
            # Before uvicorn's own word, which is 1005: the peer went without one.
            self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
        if self.stuck:
            self.stuck.cancel()
        super().connection_lost(exc)

    # In.

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["callflows.peer"] = self.figures  # type: ignore[typeddict-unknown-key]  # ours

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        if self.begun:
            data, self.begun = self.begun + data, b""
        if self.between and not self.close_sent:
            frames, data, begun = take(data)
            for frame in frames:
                self.inbox.deliver({"type": "websocket.receive", "bytes": frame})
            if begun:
                self.begun = data
                return
        if data:
            if self.handshake_complete:
                self.parsed.pass_by(data)
                self.between = self.parsed.between
            super().data_received(data)

    async def receive(self) -> Any:
        return await self.inbox.receive()

    def pace(self, full: bool) -> None:
        """Read nothing more while the application has enough to do."""
        if self.disconnected or self.transport.is_closing():
            return
        if full:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # Out.

    async def send(self, message: Any) -> None:
        frame = message.get("bytes")
        if frame is None or not self.is_open():
            await super().send(message)
        elif self.is_full(len(frame)):
            self.figures["dropped"] += 1
        elif head := HEADS.get(len(frame)):
            self.transport.write(head + frame)
        else:
            await super().send(message)

    def is_open(self) -> bool:
        return self.handshake_complete and not self.close_sent and not self.transport.is_closing()

    def is_full(self, size: int) -> bool:
        """Whether so much waits for the peer to read that another frame of ``size`` bytes would come too late."""
        if self.transport.get_write_buffer_size() <= UNSENT_FRAMES * (size + BEFORE):
            if self.stuck:
                self.stuck.cancel()
                self.stuck = None
            return False
        if not self.stuck:
            self.stuck = self.loop.call_later(STUCK_SECONDS, self.end, f"it did not read for {STUCK_SECONDS} s")
        return True

    # The end of a peer that does not live any more.

    def start_keepalive(self) -> None:
        """Ask for a pong only when nothing came for a while; uvicorn would end a peer that talks and answers none."""
        self.heard_at = self.loop.time()
        # A client that spoke before it was let in goes on by the long way.
        self.between = not self.conn.reader.buffer
        self.watch = self.loop.call_later(PING_SECONDS, self.look)

    def stop_keepalive(self) -> None:
        if self.watch:
            self.watch.cancel()

    def look(self) -> None:
        silent = self.loop.time() - self.heard_at
        if not self.is_open():
            return
        if silent >= PING_SECONDS + PONG_SECONDS:
            self.end(f"neither a frame nor a pong came for {silent:.0f} s")
            return
        if silent >= PING_SECONDS:
            self.conn.send_ping(b"?")
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.watch = self.loop.call_later(PONG_SECONDS if silent >= PING_SECONDS else PING_SECONDS - silent, self.look)

    def end(self, reason: str) -> None:
        self.figures["ended"] = reason
        self.transport.abort()
