"""HTTP on each server's real process: what the transports below carry besides audio."""

from __future__ import annotations

import asyncio
import http.client
import socket
import time

import pytest

from tests.services import Process, status
from tests.tiny import FRAME, LARGE

pytestmark = pytest.mark.process


def test_requests_share_a_connection(process: Process) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    for size in (0, 1, 100_000, 3_000_000):
        connection.request("POST", "/", body=b"a" * size)
        assert connection.getresponse().read() == str(size).encode()
    connection.close()


def test_body_in_chunks_is_taken_whole(process: Process) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    connection.request("POST", "/", body=(FRAME for _ in range(1000)), encode_chunked=True)
    assert connection.getresponse().read() == b"640000"
    connection.close()


def test_answer_that_is_read_slowly_comes_whole(process: Process) -> None:
    with socket.create_connection(("127.0.0.1", process.port)) as slow:
        slow.settimeout(20)
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        found = 0
        while data := slow.recv(1_000_000):
            found += data.count(b"x")
            # Slower than it is made: buffers fill on the way.
            time.sleep(0.005)
    assert found == LARGE * 100 * len(FRAME)


def test_peer_that_goes_in_the_middle_of_an_answer_harms_nobody(process: Process) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", process.port)) as gone:
            gone.sendall(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert gone.recv(1000)
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert status(process.url + "/") == 200


async def test_two_requests_in_one_piece_are_both_answered(process: Process) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    writer.write(request + b"\r\n" + request + b"Connection: close\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.read()).count(b"HTTP/1.1 200") == 2
    writer.close()
