"""Knows how requests reach the fake over real connections: HTTP/1.1, plain or with TLS, on this machine only."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import h11

from callflows.simulator.rest.keys import new_certificate
from callflows.simulator.rest.messages import Reply, Request

HOST = "127.0.0.1"
# No body that the API takes is larger: an NCCO of a thousand actions has 200 KB.
MOST_BYTES = 1 << 20
# A connection that asks nothing for so long is closed.
IDLE_SECONDS = 60.0
# How long the connections that are open may take at the end.
STOP_SECONDS = 1.0
Answer = Callable[[Request], Awaitable[Reply]]


class Certificate:
    """A certificate that is thrown away at the end: ``path`` is the file that clients are to trust."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fake-vonage-")
        certificate, key = new_certificate()
        self.path = Path(self._folder.name) / "certificate.pem"
        self.path.write_bytes(certificate)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        # The folder is for us alone (0700), and the key is nobody's business once it is loaded.
        file = Path(self._folder.name) / "key.pem"
        file.write_bytes(key)
        self.context.load_cert_chain(self.path, file)
        file.unlink()

    def remove(self) -> None:
        self._folder.cleanup()


class Server:
    """Answers requests at a port of this machine until it is stopped."""

    def __init__(self, answer: Answer, certificate: Certificate | None = None) -> None:
        self._answer = answer
        self._certificate = certificate
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://{HOST}:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 is any free one. Raises OSError when the port is taken."""
        context = self._certificate.context if self._certificate else None
        self._server = await asyncio.start_server(self._connected, HOST, port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no more connections, and let go of those that are there."""
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=STOP_SECONDS)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await _Connection(reader, writer, self._answer).run()
        except (OSError, TimeoutError, h11.RemoteProtocolError):
            """The client went away, or said nothing for long: there is nobody to tell."""
        except asyncio.CancelledError:
            # We stop. An idle client does not read, so it would not take part in the end of TLS.
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), STOP_SECONDS)
            writer.transport.abort()


class _Connection:
    """One client's requests, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        self._reader, self._writer, self._answer = reader, writer, answer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        try:
            await self._requests()
        except h11.RemoteProtocolError as error:
            if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
                raise
            await self._reply(Reply(error.error_status_hint, headers=[("Connection", "close")]), has_body=False)
            await self._swallow()

    async def _swallow(self) -> None:
        """Read what the client still sends: an answer to somebody whose bytes were left unread is lost on its way."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        async with asyncio.timeout(STOP_SECONDS):
            while await self._reader.read(1 << 16):
                pass

    async def _requests(self) -> None:
        while True:
            event = await self._next()
            if not isinstance(event, h11.Request):
                return
            body = await self._body()
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
            request = Request.at(event.method.decode(), event.target.decode("latin-1"), headers, body)
            await self._reply(await self._answer(request), has_body=request.method != "HEAD")
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            async with asyncio.timeout(IDLE_SECONDS):
                self._http.receive_data(await self._reader.read(1 << 16))

    async def _body(self) -> bytes:
        pieces, size = [], 0
        while isinstance(event := await self._next(), h11.Data):
            size += len(event.data)
            if size > MOST_BYTES:
                raise h11.RemoteProtocolError(f"expected at most {MOST_BYTES} bytes, got more", error_status_hint=413)
            pieces.append(bytes(event.data))
        return b"".join(pieces)

    async def _reply(self, reply: Reply, *, has_body: bool) -> None:
        headers = list(reply.headers)
        if reply.status != 204:
            headers.append(("Content-Length", str(len(reply.body))))
        await self._send(h11.Response(status_code=reply.status, headers=headers))
        if has_body and reply.status != 204:
            await self._send(h11.Data(data=reply.body))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()
