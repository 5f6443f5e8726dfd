"""Server processes: how they stop, and what a peer that misbehaves does to the others."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from callflows.serving import CannotListen, check_address
from tests.services import Deployment, Process, free_port, status, wait_until
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.process

SERVERS = ("daphne", "uvicorn")
UPGRADE = (
    b"GET /flood HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Tiny(Deployment):
    """Servers of tests/tiny.py."""

    def tiny(self, server: str, *more: str) -> Process:
        port = free_port()
        variables = {"PYTHONWARNINGS": "default"}
        process = self.start(["-m", "tests.tiny", server, str(port), *more], variables, port)
        process.wait_until_it_answers("/")
        return process


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Tiny]:
    deployment = Tiny(tmp_path)
    yield deployment
    deployment.close()


def socket_url(process: Process, path: str) -> str:
    return process.url.replace("http", "ws") + path


@pytest.mark.parametrize("server", SERVERS)
async def test_sigterm_drains_and_exits_with_0(servers: Tiny, server: str) -> None:
    process = servers.tiny(server)
    async with connect(socket_url(process, "/socket/line/SECRET")) as client:
        await client.send(b"a" * 640)
        assert await client.recv() == b"a" * 640
        stopped = asyncio.create_task(asyncio.to_thread(process.stop))
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
        assert await stopped == 0
    said = process.said()
    assert said.index("socket written down, code 1000") < said.index("drained")
    for unwanted in ("SECRET", "Warning", "Traceback", "ERROR"):
        assert unwanted not in said


@pytest.mark.parametrize("server", SERVERS)
async def test_a_request_in_progress_is_answered_before_the_stop(servers: Tiny, server: str) -> None:
    process = servers.tiny(server)
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    # A second request that comes after it and is answered: so the first one is in progress.
    assert await asyncio.to_thread(status, process.url + "/") == 200
    stopped = asyncio.create_task(asyncio.to_thread(process.stop))
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    assert await stopped == 0


@pytest.mark.parametrize("server", SERVERS)
def test_a_second_signal_ends_at_once(servers: Tiny, server: str) -> None:
    process = servers.tiny(server, "stuck")
    process.popen.terminate()
    process.wait_until_it_says("stopping")
    watch = Stopwatch(process.popen.pid)
    assert process.stop(60) == 1
    # By itself it would wait for 5 s.
    assert watch.seconds() < 4


@pytest.mark.parametrize("server", SERVERS)
async def test_a_client_that_does_not_read_is_bounded_and_ended_and_others_notice_nothing(
    servers: Tiny, server: str
) -> None:
    process = servers.tiny(server)
    memory = resident(process)
    with socket.create_connection(("127.0.0.1", process.port)) as deaf:
        deaf.sendall(UPGRADE)
        async with connect(socket_url(process, "/other")) as client:
            worst = 0.0
            while "flood written down, code 1006" not in process.said():
                watch = Stopwatch(process.popen.pid)
                await client.send(b"a" * 640)
                assert await client.recv() == b"a" * 640
                worst = max(worst, watch.seconds())
                await asyncio.sleep(0.02)
                assert resident(process) < memory + 16_000_000
            assert worst < 0.5
    dropped = await asyncio.to_thread(ask_for_peers, process)
    # How many depends on the machine: it floods as fast as that lets it.
    assert dropped["/flood"]["dropped"] > 100
    assert dropped["/other"]["dropped"] == 0


def ask_for_peers(process: Process) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(process.url) as response:
        found: dict[str, dict[str, int]] = json.load(response)
    return found


def resident(process: Process) -> int:
    """Return the bytes of memory that a process holds."""
    pages = Path(f"/proc/{process.popen.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.mark.parametrize("server", SERVERS)
async def test_a_message_of_2_mb_ends_its_own_socket_only(servers: Tiny, server: str) -> None:
    process = servers.tiny(server)
    async with connect(socket_url(process, "/other")) as other, connect(socket_url(process, "/large")) as large:
        await large.send(b"a" * 2_000_000)
        with pytest.raises(ConnectionClosed):
            await large.recv()
        await other.send(b"b" * 640)
        assert await other.recv() == b"b" * 640


def test_an_address_in_use_is_told_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"cannot listen at 127.0.0.1:{port} .* such as PORT={port + 1}"):
            check_address("127.0.0.1", port)
        done = Deployment(tmp_path).manage("serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: cannot listen at")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_the_real_server_and_the_worker_end_within_3_s(on_sqlite: Deployment, server: str) -> None:
    serve, work = on_sqlite.serve("--with", server, PYTHONWARNINGS="default"), on_sqlite.work(PYTHONWARNINGS="default")
    assert status(serve.url + "/admin/login/") == 200
    assert status(serve.url + "/static/admin/css/base.css") == 200
    assert serve.seconds_to_stop() < 3
    assert work.seconds_to_stop() < 3
    assert "Warning" not in serve.said() + work.said()


def test_a_refused_host_is_told_with_the_setting_to_change(on_sqlite: Deployment) -> None:
    serve = on_sqlite.serve()
    request = urllib.request.Request(serve.url + "/admin/", headers={"Host": "calls.example.com"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    refused.value.close()
    assert refused.value.code == 400
    serve.wait_until_it_says("refused a request for host 'calls.example.com': set PUBLIC_URL")


def test_the_server_starts_and_stops_on_postgres_and_redis(on_postgres: Deployment) -> None:
    one, two = on_postgres.serve(ready="/readyz"), on_postgres.serve(ready="/readyz")
    wait_until(lambda: status(one.url + "/admin/login/") == 200, "the login page is there", one)
    assert (one.stop(), two.stop()) == (0, 0)
