"""Knows daphne's side of one WebSocket: audio goes the short way, all else through Autobahn."""

from __future__ import annotations

import asyncio
from typing import Any

from daphne.ws_protocol import WebSocketProtocol

from callflows.serving.frames import BEFORE
from callflows.serving.short_way import ShortWay


class Socket(WebSocketProtocol):  # type: ignore[misc]  # daphne has no types
    """A WebSocket of daphne's whose connection is looked after by its short way, the same as on uvicorn.

    Its transport is a ``Bridge``: asyncio has the descriptor, and Twisted never sees it.
    """

    def connectionMade(self) -> None:
        self.way = ShortWay(asyncio.get_running_loop(), self.transport.transport)
        self.way.connected()
        super().connectionMade()

    def connectionLost(self, reason: Any = None) -> None:
        self.way.disconnected()
        super().connectionLost(reason)

    def onOpen(self) -> None:
        super().onOpen()
        self.way.opened(bytes(self.data))

    def dataReceived(self, data: bytes) -> None:
        if self.state == self.STATE_OPEN:
            data = self.way.received(data)
        if data:
            super().dataReceived(data)

    def serverSend(self, content: Any, binary: bool = False) -> None:
        if not binary or self.way.room(BEFORE + len(content)):
            super().serverSend(content, binary)

    def sendCloseFrame(self, *arguments: Any, **named: Any) -> None:
        self.way.finish()
        super().sendCloseFrame(*arguments, **named)
