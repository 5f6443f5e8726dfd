"""Knows the other end of an audio socket: by ASGI, and by the short way where the server has one."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from callflows.serving.short_way import EXTENSION, ShortWay
from callflows.sockets.line import Outgoing

log = logging.getLogger(__name__)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Peer:
    """Who is connected. ``gone`` once the connection has ended, then with the close ``code``."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        self.way: ShortWay | None = (scope.get("extensions") or {}).get(EXTENSION)
        self.gone = False
        self.code = 0
        self._receive, self._send = receive, send

    @property
    def dropped(self) -> int:
        """How many frames the server dropped because they were not read."""
        return self.way.dropped if self.way else 0

    @property
    def ended(self) -> str:
        """Why the server ended the connection; empty when it did not, or does not tell."""
        return self.way.ended if self.way else ""

    @property
    def silent(self) -> float:
        """For how many seconds nothing came; 0 on a server that does not tell of pongs, and sees to them itself."""
        return time.monotonic() - self.way.heard_at if self.way else 0.0

    async def receive(self) -> bytes | str | None:
        """Return the next message that comes by ASGI; None when the socket is closed."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self.gone = True
            self.code = int(message.get("code") or 0)
            return None
        data: bytes | None = message.get("bytes")
        return data if data is not None else message.get("text") or ""

    async def knocks(self) -> bool:
        """Whether it asks to be let in, as each socket does first."""
        return bool((await self._receive())["type"] == "websocket.connect")

    async def accept(self) -> None:
        await self._send({"type": "websocket.accept"})

    async def send(self, outgoing: Outgoing) -> None:
        """Send a frame or a text. Of a peer that has gone nothing is told but ``gone``."""
        if self.way and isinstance(outgoing, bytes):
            self.way.send(outgoing)
            return
        key = "bytes" if isinstance(outgoing, bytes) else "text"
        try:
            await self._send({"type": "websocket.send", key: outgoing})
        except Exception as error:
            # Each server raises an error of its own then; that the peer has gone is received next.
            log.debug("not sent, the peer has gone: %s", error)
            self.gone = True

    async def close(self, code: int) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code})
        except Exception as error:
            log.debug("the socket was closed already: %s", error)
