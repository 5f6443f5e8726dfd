"""Our short way for audio beside Autobahn's own: the same bytes, however they are cut, must mean the same."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from websockets.frames import Frame, Opcode

from callflows.serving.daphne_socket import Socket
from callflows.serving.short_way import ShortWay
from tests.lasting import lasting
from tests.serving.messages import UPGRADE, audio, client, cut

MOST = 2000
# The frames that take the short way; those of other sizes take the long one, in order.
SHORT = 640


class Wire(StringTransport):
    """A connection that keeps what is written to it: Twisted's transport, and asyncio's below it."""

    @property
    def transport(self) -> Wire:
        return self

    def get_extra_info(self, name: str) -> Wire:
        return self

    def setsockopt(self, *_: object) -> None:
        pass

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return bool(self.disconnecting or self.disconnected)

    def setTcpNoDelay(self, _: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass


class Server:
    """What a protocol asks of daphne's server."""

    root_path = ""
    proxy_forwarded_address_header = None

    def __init__(self) -> None:
        self.queue: Any = None

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        self.queue = protocol.way.queue if isinstance(protocol, Socket) else asyncio.Queue()
        return self.queue

    def protocol_connected(self, protocol: Any) -> None: ...
    def protocol_disconnected(self, protocol: Any) -> None: ...
    def log_action(self, *_: object) -> None: ...


def take(queue: asyncio.Queue[Any], found: list[Any]) -> None:
    """Be the application."""
    while not queue.empty():
        found.append(queue.get_nowait())


def hear(found: list[Any], queue: asyncio.Queue[Any], frame: bytes) -> None:
    """Be handed a frame by the short way, which overtakes nothing."""
    assert queue.empty()
    found.append({"type": "websocket.receive", "bytes": frame})


async def outcome(kind: type[WebSocketServerProtocol], pieces: list[bytes]) -> tuple[Any, ...]:
    """Return what the application got, what the client was sent, and whether the connection was ended."""
    peer = IPv4Address("TCP", "127.0.0.1", 1)
    server, wire = Server(), Wire(peerAddress=peer)  # type: ignore[no-untyped-call]  # Twisted's types end here
    factory = WebSocketFactory(server)
    factory.protocol = kind
    factory.setProtocolOptions(maxFramePayloadSize=MOST, maxMessagePayloadSize=MOST, closeHandshakeTimeout=0)
    protocol = factory.buildProtocol(None)
    protocol._raw_query_string = b""
    protocol.makeConnection(wire)
    protocol.dataReceived(UPGRADE)
    protocol.serverAccept()
    found: list[Any] = []
    take(server.queue, found)
    if isinstance(protocol, Socket):
        protocol.way.begin(SHORT, partial(hear, found, server.queue))
    for place, piece in enumerate(pieces):
        if not (wire.disconnecting or wire.disconnected):
            protocol.dataReceived(piece)
        # The application is sometimes slow: what waits for it must not be overtaken.
        if place % 2:
            take(server.queue, found)
    take(server.queue, found)
    state = protocol.state, protocol.remoteCloseCode, bool(wire.disconnecting or wire.disconnected)
    for timer in (protocol.openHandshakeTimeoutCall, protocol.closeHandshakeTimeoutCall):
        if timer:
            timer.cancel()
    if isinstance(protocol, Socket):
        assert isinstance(protocol.way, ShortWay)
        protocol.way.disconnected()
    sent = wire.value()  # type: ignore[no-untyped-call]  # as above
    return found, sent, *state


USUAL = client(Opcode.BINARY, audio(1))
usual = st.builds(
    client,
    st.just(Opcode.BINARY),
    st.builds(audio, st.integers(0, 9), st.sampled_from([320, 640, 960])),
    mask=st.binary(min_size=4, max_size=4),
)
payloads = st.one_of(
    st.binary(max_size=130), st.builds(audio, st.integers(0, 9), st.sampled_from([319, 320, 640, 961, MOST, MOST + 1]))
)
odd = st.builds(client, st.integers(0, 15), payloads, st.booleans(), st.booleans())
fragmented = st.lists(payloads, min_size=1, max_size=3).map(
    lambda parts: b"".join(
        client(Opcode.CONT if place else Opcode.BINARY, part, fin=place == len(parts) - 1)
        for place, part in enumerate(parts)
    )
)
text = st.text(max_size=100).map(lambda said: client(Opcode.TEXT, said.encode()))
control = st.builds(client, st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125))
broken = st.one_of(
    odd,
    st.binary(min_size=1, max_size=20),
    st.just(Frame(Opcode.BINARY, audio(1)).serialize(mask=False)),
    st.just(client(Opcode.BINARY, audio(1), rsv1=True)),
    st.just(client(Opcode.CLOSE, b"\x03\xe8bye")),
)
streams = st.tuples(
    st.lists(st.one_of(usual, usual, usual, text, control, fragmented), max_size=8), st.lists(broken, max_size=2)
).map(lambda parts: b"".join([*parts[0], *parts[1], USUAL]))
places = st.lists(st.integers(0, 10_000), max_size=12)

BEGUN = client(Opcode.BINARY, audio(5), fin=False)
AROUND = client(Opcode.BINARY, bytes(10) + USUAL + bytes(100), mask=bytes(4))
PINGED = client(Opcode.PING, bytes(10) + USUAL[:90], mask=bytes(4)) + USUAL[90:]


@settings(max_examples=lasting(100, 2000))
@given(streams, places)
# Bytes that look like a whole message, but stand within another one: fragmented, begun, begun with one byte only.
@example(BEGUN + USUAL, [len(BEGUN)])
@example(AROUND, [18, 18 + len(USUAL)])
@example(b"\x82" + USUAL, [1])
@example(PINGED, [16])
@example(BEGUN + client(Opcode.PING, b"?") + client(Opcode.CONT, b"end") + USUAL, [700])
@example(USUAL * 3, range(3 * 648))
@example(USUAL * 2, [651])
@example(client(Opcode.CLOSE, b"\x03\xe8") + USUAL, [])
def test_every_stream_means_the_same_as_to_autobahn(stream: bytes, where: list[int]) -> None:
    async def both() -> None:
        pieces = cut(stream, where)
        # TCP promises nothing of the pieces, so Autobahn gets them in one.
        assert await outcome(Socket, pieces) == await outcome(WebSocketProtocol, [stream])

    asyncio.run(both())
