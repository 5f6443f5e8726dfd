"""Knows servers of the kinds that people publish for audio sockets, written anew: each answers, and talks, its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from callflows.audio.pcm import to_int16
from callflows.audio.tones import tone

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Document = list[dict[str, Any]]

WIDE = "audio/l16;rate=16000"
NARROW = "audio/l16;rate=8000"
OK = ("text/plain; charset=utf-8", b"OK")


class Gone(Exception):
    """The other side has closed the socket."""


@dataclass(eq=False)
class Peer:
    """One open socket of a server."""

    receive: Receive
    _send: Send

    async def hear(self) -> str | bytes:
        """Return the next message; raises Gone."""
        message = await self.receive()
        if message["type"] != "websocket.receive":
            raise Gone
        pcm: bytes | None = message.get("bytes")
        return str(message["text"]) if pcm is None else pcm

    async def say(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._send({"type": "websocket.send", kind: message})

    async def close(self) -> None:
        await self._send({"type": "websocket.close", "code": 1000})


Talk = Callable[[Peer], Awaitable[None]]


@dataclass(eq=False)
class Server:
    """A server with one answer webhook, perhaps one for events, and sockets by their paths.

    ``document`` makes the NCCO of the host that was asked for, as the Host header has it. ``calls`` are the webhooks
    that came: method, path, and the values of the query or the body.
    """

    document: Callable[[str], Document]
    sockets: Mapping[str, Talk] = field(default_factory=dict)
    answer: tuple[str, str] = ("GET", "/webhooks/answer")
    events: str = "/webhooks/events"
    reply: tuple[str, bytes] = OK
    url: str = ""
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    opened: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        host = dict(scope["headers"])[b"host"].decode()
        if scope["type"] == "websocket":
            await self._socket(scope["path"], host, receive, send)
        else:
            await self._webhook(scope, host, receive, send)

    @property
    def statuses(self) -> list[str]:
        """Return the statuses of the events that came."""
        return [values["status"] for _, path, values in self.calls if path == self.events and "status" in values]

    async def _socket(self, path: str, host: str, receive: Receive, send: Send) -> None:
        await receive()
        if path not in self.sockets:
            return await send({"type": "websocket.close"})
        await send({"type": "websocket.accept"})
        self.opened.append((path, host))
        try:
            await self.sockets[path](Peer(receive, send))
        except Gone:
            """The call is over, or Vonage has dropped the leg."""

    async def _webhook(self, scope: dict[str, Any], host: str, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        method, path = scope["method"], scope["path"]
        self.calls.append((method, path, json.loads(body) if body else {"query": scope["query_string"].decode()}))
        status, (kind, content) = 200, self.reply
        if (method, path) == self.answer:
            kind, content = "application/json", json.dumps(self.document(host)).encode()
        elif path != self.events:
            status, kind, content = 404, "text/html", b"<h1>Not Found</h1>"
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def connect(uri: str, format: str = WIDE, options: dict[str, Any] | None = None, **endpoint: Any) -> dict[str, Any]:
    socket = {"type": "websocket", "uri": uri, "content-type": format, **endpoint}
    return {"action": "connect", "endpoint": [socket], **(options or {})}


def without_port(host: str) -> str:
    return host.partition(":")[0]


# What they do on their sockets


async def echo_all(peer: Peer) -> None:
    """Send everything back as it came, texts too."""
    while True:
        await peer.say(await peer.hear())


async def echo_as_bytes(peer: Peer) -> None:
    """Send everything back as bytes: libraries that hand texts over as bytes make servers do so."""
    while True:
        message = await peer.hear()
        await peer.say(message.encode() if isinstance(message, str) else message)


async def echo_audio(peer: Peer) -> None:
    """Send only sound back."""
    while True:
        if isinstance(message := await peer.hear(), bytes):
            await peer.say(message)


def sound(hz: float, seconds: float, rate: int) -> bytes:
    return bytes(to_int16(tone(hz, seconds, rate, -12)).tobytes())


def play(pcm: bytes, size: int = 640) -> Talk:
    """Send a whole sound at once in slices, of which the last is as long as what is left."""

    async def at_once(peer: Peer) -> None:
        for place in range(0, len(pcm), size):
            await peer.say(pcm[place : place + size])
        await listen(peer)

    return at_once


async def listen(peer: Peer) -> None:
    """Say nothing."""
    while True:
        await peer.hear()


def record(kept: list[str | bytes]) -> Talk:
    """Keep what comes, and say nothing."""

    async def keep(peer: Peer) -> None:
        while True:
            kept.append(await peer.hear())

    return keep


async def eight_bytes_then_echo(peer: Peer) -> None:
    """Send a few bytes as soon as the socket is open, and sound when some has come."""
    await peer.say(b"\0" * 8)
    await echo_audio(peer)


def hang_up_after(frames: int) -> Talk:
    """Close the socket when so much sound has come."""

    async def close(peer: Peer) -> None:
        left = frames
        while left:
            left -= isinstance(await peer.hear(), bytes)
        await peer.close()

    return close


@dataclass(eq=False)
class Relay:
    """Hands the sound of a call to whoever listens on another path, such as a page in a browser."""

    listeners: set[asyncio.Queue[bytes]] = field(default_factory=set)

    async def call(self, peer: Peer) -> None:
        while True:
            if isinstance(message := await peer.hear(), bytes):
                for each in self.listeners:
                    each.put_nowait(message)

    async def browser(self, peer: Peer) -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.listeners.add(queue)
        sending = asyncio.ensure_future(self._pass_on(queue, peer))
        try:
            await listen(peer)
        finally:
            self.listeners.discard(queue)
            sending.cancel()

    async def _pass_on(self, queue: asyncio.Queue[bytes], peer: Peer) -> None:
        while True:
            await peer.say(await queue.get())
