"""Knows the limit of Python: an echo as a bare asyncio protocol on uvloop, that looks at nothing it need not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys
from typing import cast

import uvloop

from callflows.serving.frames import BEFORE, HEADS, MASKED, unmask

KNOWN = {head: size for size, head in MASKED.items()}
KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Echo(asyncio.Protocol):
    """One socket: its handshake, then the audio back; other messages are only thrown away."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop's transport is none of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.shaken = False
        self.begun = b""

    def data_received(self, data: bytes) -> None:
        if not self.shaken:
            self.shake(data)
            return
        data = self.begun + data
        if data[:1] == b"\x81":
            # The first message: a text of less than 126 bytes.
            data = data[6 + (data[1] & 0x7F) :]
        while (size := KNOWN.get(data[:4])) and len(data) >= BEFORE + size:
            self.transport.write(HEADS[size] + unmask(data[BEFORE : BEFORE + size], data[4:BEFORE]))
            data = data[BEFORE + size :]
        self.begun = data
        if data[:1] == b"\x88":
            self.transport.close()

    def shake(self, request: bytes) -> None:
        self.shaken = True
        if b"Sec-WebSocket-Key: " not in request:
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()
            return
        key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + KEY).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
