"""The fake's HTTP server: real connections, with and without TLS, from careful and from careless clients."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator

import httpx2
import pytest

from callflows.simulator.rest.messages import Reply, Request, as_json
from callflows.simulator.rest.server import HOST, MOST_BYTES, Certificate, Server
from tests import dates


async def echo(request: Request) -> Reply:
    """Say what was asked."""
    if request.method == "DELETE":
        return Reply(204)
    said = {"method": request.method, "path": request.path, "query": request.query, "size": len(request.body)}
    return as_json(200, {**said, "kind": request.content_type})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server(echo)
    await found.start()
    yield found
    await found.stop()


async def raw(server: Server, sent: bytes) -> bytes:
    """Send bytes as they are; return all that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(sent)
    async with asyncio.timeout(60):
        found = await reader.read()
    writer.close()
    await writer.wait_closed()
    return found


async def test_a_request_arrives_as_it_was_sent(server: Server) -> None:
    async with httpx2.AsyncClient() as client:
        reply = await client.put(f"{server.url}/v1/calls/a%2Fb?x=1&y=a%20b&empty=", json={"a": 1})
    assert reply.json() == {
        "method": "PUT",
        "path": ["v1", "calls", "a/b"],
        "query": {"x": "1", "y": "a b", "empty": ""},
        "size": 7,
        "kind": "application/json",
    }


async def test_one_connection_serves_many_requests(server: Server) -> None:
    get = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    found = await raw(server, get % 1 + get % 2 + last)
    assert [json.loads(part.partition(b"\r\n\r\n")[2])["path"] for part in found.split(b"HTTP/1.1 200")[1:]] == [
        ["1"],
        ["2"],
        ["9"],
    ]


async def test_an_empty_answer_has_no_body(server: Server) -> None:
    found = await raw(server, b"DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 204 ")
    assert found.endswith(b"\r\n\r\n")


async def test_a_client_that_waits_for_leave_to_send_gets_it(server: Server) -> None:
    head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(head)
    async with asyncio.timeout(60):
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        writer.write(b"{}")
        assert b'"size": 2' in await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 200_000), b"431"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MOST_BYTES + 1) + b"x" * (MOST_BYTES + 1),
            b"413",
        ),
    ],
)
async def test_what_is_no_request_is_refused_and_the_server_goes_on(server: Server, sent: bytes, status: bytes) -> None:
    assert (await raw(server, sent)).startswith(b"HTTP/1.1 " + status)
    async with httpx2.AsyncClient() as client:
        assert (await client.get(server.url)).status_code == 200


async def test_a_client_that_goes_away_harms_nobody(server: Server) -> None:
    _, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    await writer.drain()
    writer.transport.abort()
    async with httpx2.AsyncClient() as client:
        assert (await client.get(server.url)).status_code == 200


async def test_it_stops_although_clients_stay_connected() -> None:
    server = Server(echo)
    await server.start()
    async with httpx2.AsyncClient() as client:
        assert (await client.get(server.url)).status_code == 200
        async with asyncio.timeout(60):
            await server.stop()
        with pytest.raises(httpx2.HTTPError):
            await client.get(server.url)


async def test_tls_is_trusted_by_its_own_certificate_only() -> None:
    with dates.really():
        certificate = Certificate()
    server = Server(echo, certificate)
    await server.start()
    try:
        trusting = ssl.create_default_context(cafile=str(certificate.path))
        for name in (HOST, "localhost"):
            async with httpx2.AsyncClient(verify=trusting) as client:
                assert (await client.get(f"https://{name}:{server.port}/")).status_code == 200
        async with httpx2.AsyncClient() as client:
            with pytest.raises(httpx2.ConnectError):
                await client.get(server.url)
    finally:
        await server.stop()
        certificate.remove()


def test_the_certificate_file_holds_no_key_and_goes_with_its_owner() -> None:
    certificate = Certificate()
    folder = certificate.path.parent
    assert [each.name for each in folder.iterdir()] == ["certificate.pem"]
    assert folder.stat().st_mode & 0o077 == 0
    assert b"PRIVATE" not in certificate.path.read_bytes()
    certificate.remove()
    assert not folder.exists()
