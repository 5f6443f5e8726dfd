"""Knows how a protocol of Twisted's speaks over a transport of asyncio's: one owner for each descriptor.

Twisted's own transport reads by ``add_reader``. Whoever reads beside it, and stops and starts it to pause, makes it
lose connections: after a burst of 6,000 frames and an abrupt end one socket in four stayed open for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, cast

from twisted.internet import interfaces
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from zope.interface import implementer

from callflows.serving.door import Door

# What Twisted says when a connection ends in order, and when it does not.
DONE = ConnectionDone("the connection was closed")
LOST = ConnectionLost("the connection was lost")


@implementer(interfaces.ITCPTransport, interfaces.IConsumer, interfaces.IPushProducer)
class Bridge(asyncio.Protocol):
    """asyncio's protocol on one side, Twisted's transport on the other; the method names are theirs.

    ``protocol`` is Twisted's, and is replaced when an HTTP connection becomes a WebSocket.
    """

    def __init__(self, build: Callable[[Any], Any], door: Door) -> None:
        self._build, self._door = build, door
        self.protocol: Any = None
        self._producer: Any = None
        # Whether the producer makes more only when it is asked to, and whether the peer has yet to read what it made.
        self._pulled = False
        self._full = False
        # Whether it is to end once all was written; read by Twisted's protocols.
        self.disconnecting = False

    # asyncio's protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop's transport is none of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._peer = self.getPeer()
        if not self._door.opened((self._peer.host, self._peer.port), self.transport.abort):
            self.transport.abort()
            return
        self.protocol = self._build(self._peer)
        self.protocol.makeConnection(self)

    def data_received(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.protocol:
            return
        self._door.closed((self._peer.host, self._peer.port))
        if self._producer:
            self._producer.stopProducing()
        reason = LOST if exc else DONE
        self.protocol.connectionLost(Failure(reason))  # type: ignore[no-untyped-call]  # Twisted's types end here
        # Each knew the other: thousands of such circles would make the garbage collector stall all calls.
        self.protocol = None

    def pause_writing(self) -> None:
        self._full = True
        if self._producer and not self._pulled:
            self._producer.pauseProducing()

    def resume_writing(self) -> None:
        self._full = False
        if self._producer:
            self._producer.resumeProducing()

    # Twisted's transport.

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close when all was written, by the producer too."""
        self.disconnecting = True
        if not self._producer:
            self.transport.close()

    def abortConnection(self) -> None:
        self.transport.abort()

    def getPeer(self) -> IPv4Address | IPv6Address:
        return address(self.transport.get_extra_info("peername"))

    def getHost(self) -> IPv4Address | IPv6Address:
        return address(self.transport.get_extra_info("sockname"))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to do: asyncio has set it."""

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nothing to do: silent peers are asked by pings."""

    def getTcpKeepAlive(self) -> bool:
        return False

    # Who makes what is written.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer:
            raise RuntimeError(f"expected no second producer, got {producer!r} beside {self._producer!r}")
        self._producer, self._pulled = producer, not streaming
        if self._pulled:
            producer.resumeProducing()
        elif self._full:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        if self.disconnecting:
            self.transport.close()

    # Who reads what comes.

    def pauseProducing(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resumeProducing(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def stopProducing(self) -> None:
        self.loseConnection()


def address(name: Any) -> IPv4Address | IPv6Address:
    """Return what asyncio calls an address as Twisted has it; one that is gone already is nobody's."""
    if not isinstance(name, tuple):
        return IPv4Address("TCP", "0.0.0.0", 0)
    kind = IPv6Address if ":" in name[0] else IPv4Address
    return kind("TCP", name[0], name[1])
