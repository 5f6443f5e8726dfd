"""Knows how tests are Vonage on an audio socket in memory: by ASGI alone, or with the short way of our servers."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from channels.testing import WebsocketCommunicator
from websockets.frames import Opcode

from callflows.serving.frames import HEADS, SIZES
from callflows.serving.short_way import EXTENSION, ShortWay
from project.asgi import application
from tests.serving.messages import client

# Whether servers have the short way.
SHORT = True


class Wire:
    """The transport below a short way: frames that are written stand in the communicator's output, in order."""

    def __init__(self, output: asyncio.Queue[Any]) -> None:
        self.output = output

    def write(self, data: bytes) -> None:
        assert data[:4] == HEADS[len(data) - 4]
        self.output.put_nowait({"type": "websocket.send", "bytes": data[4:]})

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class Vonage(WebsocketCommunicator):
    """Vonage's end of a socket; ``way`` is the short way, None on a server that has none."""

    def __init__(self, path: str) -> None:
        super().__init__(application, path)
        self.way: ShortWay | None = None
        if SHORT:
            wire = cast(asyncio.Transport, Wire(self.output_queue))
            self.way = ShortWay(asyncio.get_running_loop(), wire)
            vars(self)["scope"]["extensions"] = {EXTENSION: self.way}

    async def send_to(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send a text or a frame; usual frames as a server does that has them from a connection."""
        if self.way is None or bytes_data is None or len(bytes_data) not in SIZES or self._waits():
            await super().send_to(text_data=text_data, bytes_data=bytes_data)
        elif self.way.received(client(Opcode.BINARY, bytes_data)):
            await super().send_to(bytes_data=bytes_data)
        await asyncio.sleep(0)

    def _waits(self) -> bool:
        """Whether something waits for the application, that a frame must not overtake."""
        return not self.input_queue.empty()
