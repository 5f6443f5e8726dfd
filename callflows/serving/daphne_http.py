"""Knows daphne's side of one HTTP connection: what is too large is refused while it comes, not when it is here."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from daphne.http_protocol import WebRequest
from twisted.web.http import HTTPChannel

from callflows.serving.door import Door, Peer
from callflows.serving.limits import BODY_BYTES, HEAD_BYTES, TO_FORGERS, URL_BYTES, Limits, Refused, is_handshake

# Seconds for the answer to reach whoever still sends; then the connection ends.
LINGER_SECONDS = 0.5


class Request(WebRequest):  # type: ignore[misc]  # daphne has no types
    """A request whose body is counted."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.most, self.taken = BODY_BYTES, 0

    def handleContentChunk(self, data: bytes) -> None:
        self.taken += len(data)
        if self.taken > self.most:
            self.channel.refuse(Refused(413, f"expected at most {self.most:,} bytes, got more"))
            return
        super().handleContentChunk(data)


class Channel(HTTPChannel):
    """A connection on which Twisted's parser works; the method names are its."""

    # Of a line. Twisted ends a connection without a word above 16 KB.
    MAX_LENGTH = URL_BYTES + 1024
    totalHeadersSize = HEAD_BYTES
    requestFactory = Request

    def __init__(self, limits: Limits, door: Door) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limits, self.door = limits, door
        self.refused = False

    def allHeadersReceived(self) -> None:
        request: Any = self.requests[-1]
        headers = [(name, value) for name, values in request.requestHeaders.getAllRawHeaders() for value in values]
        try:
            # No other way leads to the path before the body is here; its type is told wrongly.
            request.most = self.limits.check(cast(bytes, self._path), headers)
        except Refused as error:
            self.refuse(error)
            return
        if is_handshake(headers) and not self.door.lets_knock(self.peer, headers):
            self._end_with(TO_FORGERS)
            # Nothing follows a handshake, and there may be thousands.
            self.loseConnection()  # type: ignore[no-untyped-call]
            return
        self.door.body(self.peer, upload=request.most > BODY_BYTES)
        super().allHeadersReceived()  # type: ignore[no-untyped-call]

    @property
    def peer(self) -> Peer:
        peer = cast(Any, self.transport).getPeer()
        return peer.host, peer.port

    def allContentReceived(self) -> None:
        if not self.refused:
            super().allContentReceived()  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        if not self.refused:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def rawDataReceived(self, data: bytes) -> None:
        if not self.refused:
            super().rawDataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(Refused(414, f"expected an address of at most {URL_BYTES:,} bytes, got {len(line):,} or more"))

    def refuse(self, error: Refused) -> None:
        """Answer, read nothing more, and end the connection when the answer had time to arrive."""
        if self.refused:
            return
        self.limits.refused(error)
        self._end_with(error.reply)
        cast(Any, self.transport).pauseProducing()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self.loseConnection)

    def _end_with(self, reply: bytes) -> None:
        self.refused = True
        cast(Any, self.transport).write(reply)
