"""A real client on each server's real process: what it sends comes back whole, whatever the pieces."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.frames import Opcode

from tests.services import Process
from tests.serving.messages import UPGRADE, audio, client, cut

pytestmark = pytest.mark.process


@pytest.fixture(params=("line", "short"), autouse=True)
def name(request: pytest.FixtureRequest) -> str:
    """Where a socket echoes by ASGI alone, and where by the short way."""
    return str(request.param)


def url(process: Process, name: str) -> str:
    return process.url.replace("http", "ws") + f"/{name}"


class Raw:
    """A socket after its handshake, by its bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            # Without this, the kernel makes one of them.
            await asyncio.sleep(0)

    async def frame(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2))
        return first, await self.reader.readexactly(size)


@contextlib.asynccontextmanager
async def raw(process: Process, name: str) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.write(UPGRADE.replace(b"/line", f"/{name}".encode()))
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    try:
        async with asyncio.timeout(60):
            yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("size", [1, 125, 126, 319, 320, 640, 641, 960, 65_535, 65_536, 200_000])
async def test_messages_of_any_size_come_back_whole(process: Process, name: str, size: int) -> None:
    async with connect(url(process, name)) as one:
        for each in (audio(1, size), audio(2), audio(3, size), audio(4, 320)):
            await one.send(each)
            assert await one.recv() == each


async def test_fragments_with_pings_between_them_make_one_message(process: Process, name: str) -> None:
    async with connect(url(process, name)) as one:
        await one.send([audio(1), audio(2), audio(3, 7)])
        await (await one.ping(b"?"))
        await one.send(audio(4))
        assert [await one.recv(), await one.recv()] == [audio(1) + audio(2) + audio(3, 7), audio(4)]


async def test_a_ping_within_a_fragmented_message_is_answered_at_once(process: Process, name: str) -> None:
    async with raw(process, name) as one:
        await one.send(client(Opcode.BINARY, audio(1), fin=False), client(Opcode.PING, b"between"))
        assert await one.frame() == (0x80 | Opcode.PONG, b"between")
        await one.send(client(Opcode.CONT, audio(2)) + client(Opcode.BINARY, audio(3)))
        assert await one.frame() == (0x82, audio(1) + audio(2))
        assert await one.frame() == (0x82, audio(3))


async def test_a_message_that_dribbles_in_comes_back_whole(process: Process, name: str) -> None:
    stream = client(Opcode.BINARY, audio(1)) + client(Opcode.TEXT, b"{}") + client(Opcode.BINARY, audio(2))
    async with raw(process, name) as one:
        await one.send(*cut(stream, range(len(stream))))
        assert [await one.frame() for _ in range(3)] == [(0x82, audio(1)), (0x82, b"?"), (0x82, audio(2))]


async def test_two_messages_and_a_half_in_one_piece(process: Process, name: str) -> None:
    stream = b"".join(client(Opcode.BINARY, audio(each), mask=bytes([each] * 4)) for each in range(4))
    async with raw(process, name) as one:
        await one.send(stream[:1700], stream[1700:])
        assert [await one.frame() for _ in range(4)] == [(0x82, audio(each)) for each in range(4)]


@pytest.mark.parametrize(
    "wrong",
    [
        client(3, audio(1)),
        client(11, b""),
        client(Opcode.CONT, audio(1)),
        client(Opcode.BINARY, audio(1), rsv1=True),
        client(Opcode.PING, b"", fin=False),
        client(Opcode.BINARY, audio(1), fin=False) + client(Opcode.BINARY, audio(2)),
    ],
    ids=["data-opcode", "control-opcode", "continued", "compressed", "half-ping", "two-begun"],
)
async def test_a_client_that_breaks_the_protocol_is_cut_off_and_not_echoed(
    process: Process, name: str, wrong: bytes
) -> None:
    async with raw(process, name) as one:
        await one.send(client(Opcode.BINARY, audio(0)))
        assert await one.frame() == (0x82, audio(0))
        await one.send(wrong + client(Opcode.BINARY, audio(9)))
        rest = b""
        # Daphne drops the connection there and then, uvicorn says why.
        with contextlib.suppress(ConnectionResetError):
            rest = await one.reader.read(-1)
        assert rest[:1] in (b"", b"\x88")


async def test_the_closing_is_answered_with_its_code(process: Process, name: str) -> None:
    async with raw(process, name) as one:
        await one.send(client(Opcode.BINARY, audio(1)))
        assert await one.frame() == (0x82, audio(1))
        await one.send(client(Opcode.CLOSE, b"\x03\xe8bye"))
        first, reason = await one.frame()
        assert (first, reason[:2]) == (0x88, b"\x03\xe8")
        assert await one.reader.read(-1) == b""


async def test_a_connection_that_breaks_off_within_a_message_harms_nobody(process: Process, name: str) -> None:
    async with connect(url(process, "other")) as other:
        async with raw(process, name) as one:
            await one.send(client(Opcode.BINARY, audio(1))[:300])
            one.writer.transport.abort()
        await other.send(audio(2))
        assert await other.recv() == audio(2)


async def test_a_message_above_the_limit_ends_its_own_socket(process: Process, name: str) -> None:
    async with connect(url(process, name)) as one:
        with contextlib.suppress(ConnectionClosed):
            await one.send(bytes(1_100_000))
        with pytest.raises(ConnectionClosedError):
            await one.recv()


async def test_bursts_of_messages_come_back_whole(process: Process, name: str) -> None:
    burst = [audio(each) for each in range(90)]
    async with raw(process, name) as one:
        for _ in range(10):
            await one.send(b"".join(client(Opcode.BINARY, each) for each in burst))
            assert [await one.frame() for _ in burst] == [(0x82, each) for each in burst]
