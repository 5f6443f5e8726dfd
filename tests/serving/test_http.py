"""HTTP on each server's real process: what the transports below carry besides audio."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from callflows.serving.limits import BODY_BYTES, UPLOAD_BYTES, URL_BYTES
from project.bootstrap import ROOT
from tests.services import Process, status, wait_until
from tests.tiny import FRAME, LARGE

pytestmark = pytest.mark.process


def test_requests_share_a_connection(process: Process) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    for size in (0, 1, 100_000, BODY_BYTES):
        connection.request("POST", "/", body=b"a" * size)
        assert connection.getresponse().read() == str(size).encode()
    connection.close()


def test_body_in_chunks_is_taken_whole(process: Process) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    connection.request("POST", "/", body=(FRAME for _ in range(400)), encode_chunked=True)
    assert connection.getresponse().read() == b"256000"
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


def answered(process: Process, head: str, body: Iterable[bytes] = ()) -> tuple[str, str]:
    """Send what may be refused before its end; return its status and the last line of the answer."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=20) as peer:
        peer.sendall(f"{head}\r\nHost: 127.0.0.1\r\n".encode())
        with suppress(OSError):
            for piece in body:
                peer.sendall(piece)
        found = b""
        with suppress(OSError):
            while data := peer.recv(65536):
                found += data
    lines = found.decode().splitlines()
    return lines[0].split()[1], lines[-1]


def chunks(size: int) -> Iterator[bytes]:
    yield b"Transfer-Encoding: chunked\r\n\r\n"
    block = b"10000\r\n" + bytes(65536) + b"\r\n"
    for _ in range(size // 65536):
        yield block


SESSION = "\r\nCookie: a=b; sessionid=x"


@pytest.mark.parametrize("target", ["/", "/healthz", "/admin/", "/webhooks/events?a=/admin/"])
def test_body_that_is_announced_too_large_is_never_read(process: Process, target: str) -> None:
    before = memory(process)
    length = f"Content-Length: {1 << 30}\r\n\r\n".encode()
    told = answered(process, f"POST {target} HTTP/1.1", [length, *[bytes(1 << 20)] * 64])
    assert told == ("413", "expected at most 262,144 bytes, got 1,073,741,824")
    assert memory(process) - before < 8


def test_body_in_chunks_is_refused_where_it_is_too_large(process: Process) -> None:
    before = memory(process)
    told = answered(process, "POST /healthz HTTP/1.1", chunks(64 << 20))
    assert told == ("413", "expected at most 262,144 bytes, got more")
    assert memory(process) - before < 8


def test_upload_of_somebody_with_a_session_is_taken(process: Process) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=20)
    connection.request("POST", "/admin/x/add/", body=bytes(3 << 20), headers={"Cookie": "a=b; sessionid=x"})
    assert connection.getresponse().read() == str(3 << 20).encode()
    connection.close()
    length = f"Content-Length: {UPLOAD_BYTES + 1}\r\n\r\n".encode()
    assert answered(process, f"POST /admin/ HTTP/1.1{SESSION}", [length])[0] == "413"


@pytest.mark.parametrize("length", [20_000, URL_BYTES - 2])
def test_long_address_is_taken(process: Process, length: int) -> None:
    assert answered(process, f"GET /?{'a' * length} HTTP/1.1\r\nConnection: close", [b"\r\n"])[0] == "200"


@pytest.mark.parametrize("length", [URL_BYTES, 80_000])
def test_address_that_is_too_long_is_told(process: Process, length: int) -> None:
    told = answered(process, f"GET /?{'a' * length} HTTP/1.1\r\nConnection: close", [b"\r\n"])
    assert told[0] == "414"
    assert told[1].startswith("expected an address of at most 65,536 bytes, got ")


def test_others_are_served_meanwhile(process: Process) -> None:
    length = f"Content-Length: {1 << 30}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", process.port), timeout=20) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + length)
        assert status(process.url + "/") == 200
    assert status(process.url + "/") == 200


def memory(process: Process) -> float:
    """Return how many MB of its own a server's process holds."""
    text = Path(f"/proc/{process.popen.pid}/smaps_rollup").read_text()
    found = re.search(r"^Anonymous:\s+(\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def test_path_of_a_stranger_is_one_line_of_the_log(process: Process) -> None:
    assert status(process.url + "/x%0aINFO%20forged%00%1b[31m") == 200
    wait_until(lambda: r"GET /x\nINFO forged\x00\x1b[31m 200" in process.said(), "it is logged")


FORGOTTEN = """
from callflows.serving.on_daphne import DrainingServer
server = DrainingServer.__new__(DrainingServer)
server.connections = {}
server.protocol_disconnected(object())
"""


def test_refused_socket_may_be_forgotten_before_its_connection_is_lost() -> None:
    """Daphne's own server raises KeyError then. In a process of its own: importing it installs a reactor."""
    done = subprocess.run([sys.executable, "-c", FORGOTTEN], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
