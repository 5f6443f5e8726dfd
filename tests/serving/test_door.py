"""Who is connected and asks for nothing: ended in time, and few of one address, on both servers."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from callflows.serving.proxies import LOOPBACK, Proxies
from callflows.serving.strangers import ADDRESSES, FORGED, Strangers
from tests.services import Deployment, Process, free_port, status, wait_until
from tests.serving.messages import UPGRADE

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module", params=("daphne", "uvicorn"))
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    home: Path = tmp_path_factory.mktemp("door")
    deployment, port = Deployment(home), free_port()
    started = deployment.start(["-m", "tests.tiny", request.param, str(port), "strict"], {}, port)
    started.wait_until_it_answers("/")
    yield started
    said = started.said()
    deployment.close()
    assert "Traceback" not in said
    # Now and then: of the first at once.
    assert "such since the last time" in said


@contextmanager
def connected(process: Process) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", process.port), timeout=20) as peer:
        yield peer


def is_refused(process: Process) -> bool:
    """Whether a new connection is ended at once, or before its request is answered."""
    with connected(process) as peer:
        return not answered(peer)


def answered(peer: socket.socket) -> bytes:
    try:
        peer.sendall(REQUEST)
        return peer.recv(65536)
    except ConnectionError:
        return b""


def drip(peer: socket.socket, piece: bytes) -> float:
    """Send ``piece`` again and again; return after how many seconds the connection was ended."""
    begun = time.monotonic()
    peer.settimeout(0.05)
    while True:
        try:
            peer.sendall(piece)
            if not peer.recv(1000):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - begun


@pytest.mark.process
def test_head_that_drips_is_cut_off(process: Process) -> None:
    with connected(process) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n")
        assert drip(peer, b"A: b\r\n") >= 0.9


@pytest.mark.process
def test_body_that_drips_is_cut_off(process: Process) -> None:
    with connected(process) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n")
        assert drip(peer, b"a") >= 0.9


@pytest.mark.process
def test_connections_that_ask_for_nothing_are_few_of_one_address(process: Process) -> None:
    with ExitStack() as waiting:
        for _ in range(4):
            waiting.enter_context(connected(process))
        assert is_refused(process)
        # They are cut off, and their places are free again.
        wait_until(lambda: status(process.url + "/") == 200, "others are let in")


@pytest.mark.process
def test_connections_at_work_do_not_count_as_waiting_and_sockets_stay(process: Process) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(f"ws://127.0.0.1:{process.port}/stays")) for _ in range(6)]
        assert status(process.url + "/") == 200
        # As long as a silent connection may stay, and longer.
        with connected(process) as silent:
            silent.recv(1)
        for each in sockets:
            each.send(b"a")
            assert each.recv() == b"a"


@pytest.mark.process
def test_no_more_than_descriptors_allow(process: Process) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(f"ws://127.0.0.1:{process.port}/many")) for _ in range(12)]
        assert is_refused(process)
        sockets[0].close()
        wait_until(lambda: status(process.url + "/") == 200, "a place is free again")


@pytest.mark.process
def test_connection_is_kept_for_another_request(process: Process) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=20)
    for _ in range(2):
        connection.request("GET", "/")
        assert connection.getresponse().read()
        with connected(process) as silent:
            # As long as a head may take.
            silent.recv(1)
    connection.close()


# Who it is


@pytest.mark.parametrize(
    ("peer", "forwarded", "origin"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "10.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", "1.2.3.4, 198.51.100.1, 10.1.2.3, 10.1.2.4", "198.51.100.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "nonsense, 198.51.100.1", "198.51.100.1"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_origin_is_what_proxies_of_ours_say(peer: str, forwarded: str, origin: str) -> None:
    proxies = Proxies((*LOOPBACK.networks, *Proxies.parse(["10.1.0.0/16"]).networks))
    assert proxies.origin(peer, forwarded) == origin


def test_several_headers_are_read_as_one() -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"203.0.113.5")]
    assert LOOPBACK.origin_of({"client": ["127.0.0.1", 5], "headers": headers}) == "203.0.113.5"
    assert LOOPBACK.origin_of({"client": None, "headers": headers}) == ""


def test_strangers_are_told_of_within_a_budget() -> None:
    strangers = Strangers(20, 0.5)
    assert not strangers.is_spent("198.51.100.1", 0.0)
    assert sum(strangers.spend("198.51.100.1", 0.0) for _ in range(1000)) == 20
    assert strangers.is_spent("198.51.100.1", 1.0)
    assert not strangers.is_spent("198.51.100.1", 2.0)
    assert strangers.spend("203.0.113.5", 0.0)
    assert not strangers.spend("198.51.100.1", 1.0)
    assert strangers.spend("198.51.100.1", 2.0)
    assert sum(strangers.spend("198.51.100.1", 10_000.0) for _ in range(1000)) == 20


def test_strangers_are_forgotten_when_there_are_many() -> None:
    strangers = Strangers(3, 0.5)
    for _ in range(3):
        strangers.spend("198.51.100.1", 0.0)
    for number in range(ADDRESSES):
        strangers.spend(str(number), 0.0)
    assert len(strangers._accounts) == ADDRESSES
    assert strangers.spend("198.51.100.1", 0.0)


def knock(port: int, path: str, origin: str) -> str:
    """Begin a handshake; return the status of its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        asked = UPGRADE.replace(b"/line", path.encode()).replace(
            b"\r\n", f"\r\nX-Forwarded-For: {origin}\r\n".encode(), 1
        )
        peer.sendall(asked)
        return peer.recv(100).split()[1].decode()


@pytest.mark.process
@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_address_that_forges_tokens_is_not_listened_to(server: str, tmp_path: Path) -> None:
    deployment, port = Deployment(tmp_path), free_port()
    process = deployment.start(["-m", "tests.tiny", server, str(port)], {}, port)
    process.wait_until_it_answers("/")
    begun = time.monotonic()
    looked_at = [knock(port, "/forged", "198.51.100.1") for _ in range(FORGED[0] * 2)].count("403")
    took = time.monotonic() - begun
    assert FORGED[0] <= looked_at <= FORGED[0] + FORGED[1] * took + 1
    assert knock(port, "/forged", "198.51.100.2") == "403"
    assert knock(port, "/line", "198.51.100.2") == "101"
    # A proxy that does not say for whom it asks has everybody behind it.
    assert {knock(port, "/forged", "127.0.0.1") for _ in range(FORGED[0] * 2)} == {"403"}
    wait_until(lambda: knock(port, "/line", "198.51.100.1") == "101", "it is listened to again")
    deployment.close()
