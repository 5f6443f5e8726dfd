"""Knows uvicorn's side of one WebSocket: audio goes the short way, all else through its own parser."""

from __future__ import annotations

from asyncio import BaseTransport
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from callflows.serving.door import NOBODY, Door
from callflows.serving.frames import BEFORE
from callflows.serving.short_way import EXTENSION, ShortWay


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket of uvicorn's whose connection is looked after by its short way, the same as on daphne."""

    def __init__(self, door: Door, **named: Any) -> None:
        super().__init__(**named)
        self.door = door

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.way = ShortWay(self.loop, self.transport)
        self.way.connected()
        self.queue = self.way.queue  # type: ignore[assignment]  # its messages are typed by us
        # Uvicorn stops reading at each message that waits, unless it believes that it did; the queue does at many.
        self.read_paused = True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.conn.close_rcvd is None and not self.close_sent:
            # Before uvicorn's own word, which is 1005: the peer went without one.
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.way.disconnected()
        self.door.closed(self.client or NOBODY)
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self.way

    def start_keepalive(self) -> None:
        """The handshake is over. Uvicorn's own pings would end a peer that talks and answers none."""
        self.way.opened(bytes(self.conn.reader.buffer))

    def data_received(self, data: bytes) -> None:
        if self.handshake_complete and not self.close_sent:
            data = self.way.received(data)
        if data:
            super().data_received(data)

    async def receive(self) -> Any:
        return await self.queue.get()

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.way.finish()
        frame = message.get("bytes")
        if frame is None or not self.handshake_complete or self.close_sent or self.way.room(BEFORE + len(frame)):
            await super().send(message)
