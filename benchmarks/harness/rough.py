"""Knows callers who burst and then end badly: raw bytes in one go, then close, reset or silence."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from benchmarks.harness.client import (
    BINARY,
    CLOSE,
    FORMAT,
    MASK,
    PING,
    PONG,
    TEXT,
    masked,
    take_messages,
)
from callflows.wire.platform import first_message

CALLER, ECHO_NUMBER, PLAY_NUMBER = "447700900999", "447700900001", "447700900002"
CLOSED, RESET, HALF_OPEN, CUT_OFF = "close", "reset", "half-open", "cut off"
ENDINGS = (CLOSED, RESET, HALF_OPEN)
FRAMES = 6000
FRAME = masked(BINARY, bytes(range(1, 251)) * 2 + bytes(140))
HELLO = masked(TEXT, json.dumps(first_message(FORMAT, {"app": "echo"})).encode())
# What a caller does before the end, how often of a hundred; all but the last two begin properly.
DOINGS = {
    **{"burst": 60, "cut": 13, "texts": 6, "wrong sizes": 8, "byte by byte": 4, "deaf": 3},
    **{"no first message": 3, "no handshake": 3},
}
# A server that is given much to do may take its time; one that reads nothing for so long is stuck.
BURST_SECONDS = 120.0
ANSWER_SECONDS = 10.0
ASKS = 10
SINGLE_BYTES = 5 * len(FRAME)
# RST instead of FIN, whatever is unsent.
AT_ONCE = struct.pack("ii", 1, 0)
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Refused(ConnectionError):
    """The server did not let a caller in, or did not go on with one: says why."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What one caller does.

    ``eager`` ones burst right after the first message, ``deaf`` ones read nothing meanwhile.
    """

    doing: str
    ending: str
    eager: bool
    deaf: bool
    seed: int


def manners(count: int, seed: int) -> list[Manners]:
    """Return what ``count`` callers do: the endings in turn, all else by chance."""
    chance = random.Random(seed)
    doings = chance.choices(list(DOINGS), list(DOINGS.values()), k=count)
    found = [
        Manners(
            each,
            ENDINGS[place % len(ENDINGS)],
            chance.random() < 0.25,
            chance.random() < 0.5,
            chance.getrandbits(32),
        )
        for place, each in enumerate(doings)
    ]
    chance.shuffle(found)
    return found


def burst(doing: str, frames: int, chance: random.Random) -> bytes:
    """Return what a caller sends in one go."""
    if doing == "texts":
        said = [b"{", b'{"event":"websocket:dtmf","digit":"5"}', b"[]", "ü".encode() * 20, b""]
        return b"".join(masked(TEXT, chance.choice(said)) for _ in range(frames))
    if doing == "wrong sizes":
        sizes = chance.choices((1, 319, 320, 641, 960, 2000), k=100)
        some = [masked(BINARY, bytes(size)) for size in sizes]
        return b"".join(chance.choice(some) for _ in range(frames))
    whole = FRAME * frames
    return whole[: chance.randrange(len(whole) * 3 // 4, len(whole))] if doing == "cut" else whole


@dataclass(frozen=True, slots=True)
class Where:
    """Where a server listens, and how a socket is made that can reach it."""

    port: int
    host: str = "127.0.0.1"
    make: Callable[[], socket.socket] = socket.socket


def ask(where: Where, number: str) -> str:
    """Return where a call to ``number`` opens its socket, as a real answer says it.

    A server that is kept busy may give the safe NCCO: then the caller calls again.
    """
    for _ in range(ASKS):
        for action in (ncco := _ncco(where, number)):
            if action["action"] == "connect":
                return urlsplit(str(action["endpoint"][0]["uri"])).path
    raise Refused(f"expected an NCCO that connects {number} to a socket, got {ncco}")


def _ncco(where: Where, number: str) -> list[dict[str, Any]]:
    own = {"uuid": uuid4(), "conversation_uuid": f"CON-{uuid4()}"}
    query = urlencode({"to": number, "from": CALLER, **own})
    connection = http.client.HTTPConnection(where.host, where.port, timeout=30)
    try:
        headers = {"Connection": "close", "Host": "127.0.0.1"}
        connection.request("GET", f"/webhooks/answer?{query}", headers=headers)
        ncco: list[dict[str, Any]] = json.load(connection.getresponse())
    finally:
        connection.close()
    return ncco


class Peer:
    """A client's end of one connection, which does nothing by itself, not even read or pong."""

    def __init__(self, connection: socket.socket, path: str = "") -> None:
        self.connection, self.path = connection, path
        self.port = int(connection.getsockname()[1])
        self.loop = asyncio.get_running_loop()
        self.buffer = bytearray()

    @classmethod
    async def connect(cls, where: Where, path: str, buffer: int = 0) -> Peer:
        """Connect; ``buffer`` is how many bytes the kernel keeps for a peer that does not read."""
        connection = where.make()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (where.host, where.port))
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    @classmethod
    async def let_in(cls, where: Where, path: str, buffer: int = 0, first: bytes = HELLO) -> Peer:
        """Open a socket, and say its first message."""
        peer = await cls.connect(where, path, buffer)
        try:
            await peer.send(UPGRADE.format(path=path).encode())
            while b"\r\n\r\n" not in peer.buffer:
                await peer.read()
            head, _, rest = bytes(peer.buffer).partition(b"\r\n\r\n")
            if b" 101 " not in head.split(b"\r\n")[0]:
                raise Refused(f"expected the handshake to be answered with 101, got {head[:100]!r}")
            peer.buffer = bytearray(rest)
            await peer.send(first)
        except BaseException:
            peer.connection.close()
            raise
        return peer

    @property
    def line(self) -> str:
        """The id of its line, as its path names it."""
        return self.path.split("/")[2] if self.path.count("/") > 2 else ""

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.connection, data)

    async def read(self, seconds: float = BURST_SECONDS) -> None:
        """Wait until something comes; raises Refused when that is the end."""
        async with asyncio.timeout(seconds):
            data = await self.loop.sock_recv(self.connection, 1 << 16)
        if not data:
            raise Refused("the server ended the connection")
        self.buffer += data

    async def message(self) -> tuple[int, bytes]:
        """Wait for one message, whatever its kind."""
        while True:
            for message in take_messages(self.buffer):
                return message
            await self.read()

    async def echo(self, payload: bytes) -> None:
        """Send a frame, and wait until it comes back; pings are answered meanwhile."""
        await self.send(masked(BINARY, payload))
        while (found := await self.message()) != (BINARY, payload):
            if found[0] == PING:
                await self.send(masked(PONG, found[1]))
            elif found[0] == CLOSE:
                code = int.from_bytes(found[1][:2])
                raise Refused(f"the server closed the socket with code {code}")

    async def swallow(self) -> None:
        """Read and forget all that comes, until the connection ends."""
        with suppress(OSError):
            while await self.loop.sock_recv(self.connection, 1 << 16):
                pass

    def reset(self) -> None:
        """End it as a broken network does: what waits is not sent, what came is not read."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.connection.close()


async def misbehave(where: Where, how: Manners, frames: int = FRAMES) -> Peer:
    """Be one rough caller; return its end, closed unless half-open. Raises Refused, or OSError."""
    if how.doing == "no handshake":
        peer = await Peer.connect(where, "")
        await peer.send(UPGRADE.format(path="/socket/x/y").encode()[: how.seed % 150 + 1])
        # Of these only what the client ends is the server's to notice: whoever waits is no line.
        await end(peer, RESET if how.ending == HALF_OPEN else how.ending)
        return peer
    deaf, mute = how.doing == "deaf", how.doing == "no first message"
    path = await asyncio.to_thread(ask, where, PLAY_NUMBER if deaf else ECHO_NUMBER)
    peer = await Peer.let_in(where, path, 4096 if deaf else 0, b"" if mute else HELLO)
    try:
        if not (how.eager or deaf or mute):
            await peer.echo(bytes(range(64)) * 10)
        if not mute:
            await _act(peer, how, frames)
    except BaseException:
        peer.connection.close()
        raise
    await end(peer, how.ending)
    return peer


async def _act(peer: Peer, how: Manners, frames: int) -> None:
    chance = random.Random(how.seed)
    reading = None if how.deaf or how.doing == "deaf" else asyncio.create_task(peer.swallow())
    try:
        async with asyncio.timeout(BURST_SECONDS):
            if how.doing == "byte by byte":
                for one in (FRAME * 5)[: chance.randrange(SINGLE_BYTES // 2, SINGLE_BYTES)]:
                    await peer.send(bytes([one]))
            elif how.doing == "deaf":
                # While it is played to, for longer than the kernel keeps what it does not read.
                await asyncio.sleep(chance.uniform(1.0, 5.0))
            else:
                await peer.send(await asyncio.to_thread(burst, how.doing, frames, chance))
    finally:
        if reading:
            reading.cancel()
            await asyncio.wait({reading})


async def end(peer: Peer, ending: str) -> None:
    """End a connection: with a close frame that the server answers, with a reset, or not at all."""
    if ending == RESET:
        peer.reset()
    elif ending == CLOSED:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await peer.send(masked(CLOSE, (1000).to_bytes(2)))
                await peer.swallow()
        peer.connection.close()


async def mute(where: Where) -> Peer:
    """Open a socket that says its first message and no more."""
    return await Peer.let_in(where, await asyncio.to_thread(ask, where, ECHO_NUMBER))


async def ended_after(peer: Peer) -> float:
    """Return after how many seconds the server ended a socket that stays silent."""
    begun = time.monotonic()
    try:
        await peer.swallow()
    finally:
        peer.connection.close()
    return time.monotonic() - begun


async def good_call(where: Where, frames: int = 50) -> None:
    """Be a caller as they should be: each frame comes back. Raises Refused, or OSError."""
    peer = await Peer.let_in(where, await asyncio.to_thread(ask, where, ECHO_NUMBER))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            for number in range(frames):
                await peer.echo(number.to_bytes(4) + MASK * 159)
    except TimeoutError:
        raise Refused(f"expected {frames} echoes within {ANSWER_SECONDS:g} s") from None
    finally:
        await end(peer, CLOSED)


async def misbehave_all(
    where: Where,
    every: Sequence[Manners],
    at_once: int,
    frames: int = FRAMES,
) -> list[Peer | str]:
    """Be all these callers, so many at one time; return their ends, or in words what befell one."""
    free = asyncio.Semaphore(at_once)

    async def one(how: Manners) -> Peer | str:
        async with free:
            try:
                return await misbehave(where, how, frames)
            except (OSError, TimeoutError) as error:
                return f"{how.doing}, {how.ending}: {error or type(error).__name__}"

    return list(await asyncio.gather(*map(one, every)))
