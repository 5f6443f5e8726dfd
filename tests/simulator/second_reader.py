"""Knows a server and a REST client that were written from the contract alone, with no code of ours on their side."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import struct
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import jwt

from callflows.simulator.account import Account, Application, Number
from callflows.simulator.dial import Dial
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour
from callflows.simulator.platform import Platform
from callflows.simulator.rest.fake import Fake
from callflows.vonage.account import read_key
from tests.simulator.rest_world import pair

APPLICATION = "78d335fa-323d-4114-9c3d-d6f0d48968cf"
HOST = "app.example.com"
CALLER, OURS, CALLEE = "447700900111", "442079460000", "447700900222"
SECRET = "a-signature-secret-with-more-than-32-characters"
# How long anything may take that a test waits for.
SECONDS = 60.0


@dataclass
class Request:
    """One HTTP request as it came; ``query`` and ``headers`` are in the order received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    at: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def members(self) -> dict[str, Any]:
        """The payload: query parameters of a GET, the JSON body of a POST."""
        return dict(json.loads(self.body)) if self.method == "POST" else dict(self.query)


def kind(event: dict[str, Any]) -> str:
    """Return the name of an event, told apart as section 3.2 says."""
    if "status" in event:
        return str(event["status"])
    signs = {
        "recording_url": "record",
        "conversation_uuid_to": "transfer",
        "dtmf": "input",
        "payload": "notify",
        "reason": "error",
    }
    return next((name for member, name in signs.items() if member in event), "?")


class Socket:
    """The server's end of a WebSocket, framed by hand as RFC 6455 says; ``end`` is the close code that was seen."""

    def __init__(self, request: Request, site: Site, writer: asyncio.StreamWriter) -> None:
        self.request, self.site, self._writer = request, site, writer
        self.heard: list[tuple[float, str | bytes]] = []
        self.end: int | None = None

    @property
    def texts(self) -> list[dict[str, Any]]:
        return [json.loads(each) for _, each in self.heard if isinstance(each, str)]

    @property
    def frames(self) -> list[tuple[float, bytes]]:
        return [(at, each) for at, each in self.heard if isinstance(each, bytes)]

    def send(self, message: dict[str, Any] | bytes | str) -> None:
        if isinstance(message, bytes):
            self._frame(2, message)
        else:
            self._frame(1, (message if isinstance(message, str) else json.dumps(message)).encode())

    def close(self, code: int = 1000) -> None:
        self._frame(8, struct.pack(">H", code))

    def crash(self) -> None:
        self._writer.transport.abort()

    def _frame(self, opcode: int, data: bytes) -> None:
        size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
        self._writer.write(bytes([0x80 | opcode]) + size + data)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Take frames until the connection is over."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.end is None:
                opcode, data = await self._next(reader)
                if opcode == 8:
                    self.end = struct.unpack(">H", data[:2])[0] if data else 1005
                    self._frame(8, data[:2])
                elif opcode == 9:
                    self._frame(10, data)
                elif opcode in (1, 2):
                    self.heard.append((time.monotonic(), data.decode() if opcode == 1 else data))
                self.site.news.set()
        # No close frame came: what browsers and servers call 1006.
        self.end = self.end or 1006
        self.site.news.set()

    async def _next(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        first, second = await reader.readexactly(2)
        assert first & 0x80, "expected whole messages"
        assert second & 0x80, "expected the client to mask"
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", await reader.readexactly(2))[0]
        key = await reader.readexactly(4)
        data = await reader.readexactly(size)
        pad = (key * (size // 4 + 1))[:size]
        return first & 0x0F, (int.from_bytes(data) ^ int.from_bytes(pad)).to_bytes(size)


# An NCCO, a status, or None for an empty 200.
Given = list[dict[str, Any]] | int | None


@dataclass
class Site:
    """The webhooks and sockets of an application.

    ``pages`` gives the answers by path, one after the other, the last one for ever; ``replies`` those to events.
    """

    pages: dict[str, list[Given]]
    replies: dict[str, list[Given]]
    requests: list[Request] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)

    async def stop(self) -> None:
        """Break off every socket: the fake would wait 1 s for their closing handshakes."""
        for each in self.sockets:
            each.crash()
        if self.connections:
            await asyncio.wait(self.connections, timeout=SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            request = Request(method, target, headers)
            request.body = await reader.readexactly(int(headers.get("content-length", "0")))
            if headers.get("upgrade", "").lower() == "websocket":
                await self._open(request, reader, writer)
            else:
                self.requests.append(request)
                writer.write(self._reply(request))
                self.news.set()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _open(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.path == "/refused":
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        magic = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(magic.encode()).digest()).decode()
        head = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{head}".encode())
        self.sockets.append(Socket(request, self, writer))
        self.news.set()
        await self.sockets[-1].listen(reader)

    def _reply(self, request: Request) -> bytes:
        named = self.replies.get(kind(request.members)) if request.path == "/events" else self.pages.get(request.path)
        given: Given = named[0] if named else None
        if named and (request.path == "/events" or len(named) > 1):
            del named[0]
        status = given if isinstance(given, int) else 200
        body = json.dumps(given).encode() if isinstance(given, list) else b""
        head = f"HTTP/1.1 {status} As Told\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        return f"{head}\r\nconnection: close\r\n\r\n".encode() + body


@dataclass(frozen=True)
class Answer:
    status: int
    type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Second:
    """What a test has: the site that is called, and REST with a token of the application."""

    site: Site
    fake: Fake

    def came(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name, as they came."""
        return [each for each in self.events if kind(each) == name]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [each.members for each in self.site.requests if each.path == "/events"]

    def asked(self, path: str) -> list[Request]:
        return [each for each in self.site.requests if each.path == path]

    async def until(self, is_so: Callable[[], Any]) -> None:
        """Wait until what was received makes something so."""
        async with asyncio.timeout(SECONDS):
            while not is_so():
                self.site.news.clear()
                await self.site.news.wait()

    async def event(self, name: str, nth: int = 1) -> dict[str, Any]:
        await self.until(lambda: len(self.came(name)) >= nth)
        return self.came(name)[nth - 1]

    async def socket(self, nth: int = 1) -> Socket:
        """Return a socket that has got its first message."""
        await self.until(lambda: len(self.site.sockets) >= nth and self.site.sockets[nth - 1].heard)
        return self.site.sockets[nth - 1]

    async def ask(self, method: str, target: str, body: object = None, auth: str | None = None) -> Answer:
        return await asyncio.to_thread(self._ask, method, target, body, bearer() if auth is None else auth)

    def _ask(self, method: str, target: str, body: object, auth: str) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.fake.url).netloc, timeout=SECONDS)
        headers = {"Content-Type": "application/json"} | ({"Authorization": auth} if auth else {})
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        found = Answer(response.status, response.headers.get("content-type", ""), response.read())
        connection.close()
        return found

    async def dial(self, **more: Any) -> Answer:
        whom = {"to": [{"type": "phone", "number": CALLEE}], "from": {"type": "phone", "number": OURS}}
        return await self.ask("POST", "/v1/calls", {**whom, **more})


def bearer(key: str = "", **claims: Any) -> str:
    """Return a token as section 6.8 says."""
    now = int(time.time())
    usual = {"application_id": APPLICATION, "iat": now, "exp": now + 900, "jti": str(uuid.uuid4())}
    return "Bearer " + jwt.encode({**usual, **claims}, read_key(key or pair()[0]), algorithm="RS256")


def checked(authorization: str, secret: str = SECRET) -> dict[str, Any]:
    """Return the claims of a signed webhook; its HMAC is counted out by hand, as section 6.5 says."""
    scheme, _, token = authorization.partition(" ")
    assert scheme == "Bearer"
    signed, _, signature = token.rpartition(".")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in signed.split("."))
    assert header == {"alg": "HS256", "typ": "JWT"}
    expected = base64.urlsafe_b64encode(hmac.digest(secret.encode(), signed.encode(), "sha256")).decode().rstrip("=")
    assert hmac.compare_digest(expected, signature)
    return dict(claims)


def application(method: str) -> Application:
    hooks = {
        "answer_url": {"address": f"https://{HOST}/answer", "http_method": method},
        "fallback_answer_url": {"address": f"https://{HOST}/fallback", "http_method": method},
        "event_url": {"address": f"https://{HOST}/events", "http_method": method},
    }
    voice = {"webhooks": hooks, "signed_callbacks": True}
    return Application(
        APPLICATION, {"name": "Second", "keys": {"public_key": pair()[1]}, "capabilities": {"voice": voice}}
    )


@asynccontextmanager
async def second(
    *ncco: Given,
    caller: Behaviour | None = None,
    callee: Behaviour | None = None,
    method: str = "POST",
    pages: dict[str, list[Given]] | None = None,
    replies: dict[str, list[Given]] | None = None,
    **knobs: Any,
) -> AsyncIterator[Second]:
    """Run a fake and a site that answers with ``ncco``; with ``caller`` somebody calls at once."""
    site = Site({"/answer": list(ncco), **(pages or {})}, replies or {})
    server = await asyncio.start_server(site.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    account = Account(signature_secret=SECRET)
    account.applications[APPLICATION] = application(method)
    account.numbers[OURS] = Number(OURS, application=APPLICATION)
    platform = Platform(datetime.now(UTC), replace(Knobs(), **{"early_hang_up_seconds": 0.0, **knobs}), account=account)
    platform.parties[CALLEE] = callee or Behaviour(rings=0.05)
    if caller:
        platform.call_in(OURS, CALLER, behaviour=caller)
    fake = Fake(platform, Dial(f"http://127.0.0.1:{port}", f"https://{HOST}"), lambda seen: None)
    stop, ready = asyncio.Event(), asyncio.Event()
    # It makes a pair of keys ahead, 200 ms of work for each test and used by none of these.
    with patch("callflows.simulator.rest.fake.new_pair", pair):
        task = asyncio.create_task(fake.run(stop, ready=lambda _: ready.set()))
        await asyncio.wait_for(ready.wait(), SECONDS)
    try:
        yield Second(site, fake)
    finally:
        stop.set()
        await site.stop()
        await task
        server.close()
        await server.wait_closed()
