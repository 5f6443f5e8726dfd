"""Knows how large a request may be, by what its head says; bodies are counted while they come.

The rest of a request that is too large is never read: whoever sends a gigabyte to /healthz moves neither memory nor the
event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from callflows.serving import Application, Message, Receive, Send
from callflows.serving.door import Door, peer_of

log = logging.getLogger(__name__)

# Vonage's largest body is a transcript of some kilobytes; a flow of 300 steps sends 200 KB.
BODY_BYTES = 256 * 1024
# What an operator may upload; Django looks at who that is, and puts it to the disk.
UPLOAD_BYTES = 64 * 1024 * 1024
# Of a request line: a webhook by GET has its event in there.
URL_BYTES = 64 * 1024
# Of all headers, the line included.
HEAD_BYTES = URL_BYTES + 32 * 1024

PHRASES = {413: "Content Too Large", 414: "URI Too Long", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """A request that goes no further than to the server: the status, and a sentence."""

    status: int
    sentence: str

    @property
    def reply(self) -> bytes:
        """All of the response, for whoever has a connection and no request yet."""
        body = f"{self.sentence}\n".encode()
        return (
            f"HTTP/1.1 {self.status} {PHRASES[self.status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode() + body


# For whom handshakes are not looked at any more.
TO_FORGERS = Refused(429, "this address brought too many tokens that are none of ours; try again later").reply


@dataclass(frozen=True, slots=True)
class Limits:
    """``uploads`` is the path below which whoever brings a cookie named ``session`` may send a file.

    ``refused`` is told of each request that was too large.
    """

    uploads: str = "/admin/"
    session: str = "sessionid"
    refused: Callable[[Refused], object] = lambda error: None

    def check(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> int:
        """Return how many bytes of body a request may bring, by its path with the query, and its headers.

        Raises Refused.
        """
        if len(target) > URL_BYTES:
            raise Refused(414, f"expected an address of at most {URL_BYTES:,} bytes, got {len(target):,}")
        length, cookies = 0, b""
        for name, value in headers:
            if name.lower() == b"content-length" and value.isdigit():
                length = int(value[:20])
            elif name.lower() == b"cookie":
                cookies = value
        most = self._most(target.decode("latin-1"), cookies.decode("latin-1"))
        if length > most:
            raise Refused(413, f"expected at most {most:,} bytes, got {length:,}")
        return most

    def _most(self, target: str, cookies: str) -> int:
        if not target.startswith(self.uploads):
            return BODY_BYTES
        try:
            known = self.session in SimpleCookie(cookies)
        except CookieError:
            return BODY_BYTES
        return UPLOAD_BYTES if known else BODY_BYTES


def is_handshake(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request asks for a WebSocket."""
    return any(name.lower() == b"upgrade" and value.lower() == b"websocket" for name, value in headers)


def limited(application: Application, limits: Limits, door: Door) -> Application:
    """Return an application that is given no request which is too large. The door is told that a body may follow."""

    async def within(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await application(scope, receive, send)
        begun, taken, most = False, 0, BODY_BYTES

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise Refused(413, f"expected at most {most:,} bytes, got more")
            return message

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            most = limits.check(_target(scope), scope["headers"])
            door.body(peer_of(scope), upload=most > BODY_BYTES)
            await application(scope, counting, noting)
        except Refused as error:
            limits.refused(error)
            if not begun:
                await _answer(error, send)

    return within


def _target(scope: Message) -> bytes:
    path = scope.get("raw_path") or scope["path"].encode()
    return bytes(path + (b"?" + scope["query_string"] if scope["query_string"] else b""))


async def _answer(error: Refused, send: Send) -> None:
    body = f"{error.sentence}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    # What is still coming is not read.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
