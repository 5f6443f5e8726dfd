"""When a connection counts as dead: neither a frame nor a pong came for a while, and not for want of either alone."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from websockets.frames import Opcode

from tests.services import Deployment, Process, free_port, wait_until
from tests.serving.messages import UPGRADE, audio, client

pytestmark = pytest.mark.process

SERVERS = ("daphne", "uvicorn")


@pytest.fixture(scope="module", params=SERVERS)
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that asks for a pong after a second without a frame, and waits two more."""
    home: Path = tmp_path_factory.mktemp("silent")
    deployment, port = Deployment(home), free_port()
    started = deployment.start(["-m", "tests.tiny", request.param, str(port), "quick"], {}, port)
    started.wait_until_it_answers("/")
    yield started
    deployment.close()


class Peer:
    """A socket that answers nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2))
        return first, await self.reader.readexactly(size)

    async def echo(self, number: int) -> None:
        """Send a frame and wait until it comes back, whatever else comes before it."""
        self.writer.write(client(Opcode.BINARY, audio(number)))
        while (found := await self.frame())[0] != 0x80 | Opcode.BINARY:
            pass
        assert found[1] == audio(number)


@asynccontextmanager
async def peer(process: Process) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(UPGRADE)
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    try:
        async with asyncio.timeout(20):
            yield Peer(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_client_that_says_nothing_and_answers_no_ping_is_asked_and_then_ended(process: Process) -> None:
    async with peer(process) as one:
        assert (await one.frame())[0] == 0x80 | Opcode.PING
        with suppress(ConnectionError):
            # To its end: nothing else comes.
            assert await one.reader.read(-1) == b""
    await asyncio.to_thread(process.wait_until_it_says, "line written down, code 1006", 10)


async def test_client_that_speaks_is_not_ended_for_want_of_pongs(process: Process) -> None:
    async with peer(process) as one:
        begun = asyncio.get_running_loop().time()
        number = 0
        # Twice as long as a silent one lives.
        while asyncio.get_running_loop().time() < begun + 6:
            number += 1
            await one.echo(number)
            await asyncio.sleep(0.1)


async def test_client_that_says_nothing_and_answers_pings_is_kept(process: Process) -> None:
    async with peer(process) as one:
        for _ in range(3):
            opcode, said = await one.frame()
            assert opcode == 0x80 | Opcode.PING
            one.writer.write(client(Opcode.PONG, said))
        await one.echo(1)


async def test_consumer_can_read_why_a_connection_was_ended(process: Process) -> None:
    async with peer(process) as one:
        with suppress(ConnectionError):
            await one.reader.read(-1)
    await asyncio.to_thread(
        wait_until, lambda: "neither a frame nor a pong came for" in peers(process), "the reason is told", process, 10
    )


def peers(process: Process) -> str:
    """Return what the server says of its last peers."""
    with urllib.request.urlopen(process.url) as response:
        said: str = response.read().decode()
    return said
