"""Knows how uvicorn serves us: draining before it stops, never queueing for a peer that does not read."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from callflows.serving import MESSAGE_BYTES, Application, Drain
from callflows.serving.door import NOBODY, Door, attended
from callflows.serving.limits import HEAD_BYTES, TO_FORGERS, Limits, limited
from callflows.serving.uvicorn_socket import Socket

log = logging.getLogger(__name__)

# Seconds that requests in progress get to finish when the listening has ended.
REQUEST_SECONDS = 2


class DrainingServer(uvicorn.Server):
    """Uvicorn that closes our sockets in order, with HTTP still up, before it closes its own way."""

    def __init__(self, config: uvicorn.Config, drain: Drain, seconds: float) -> None:
        super().__init__(config)
        self.drain, self.seconds = drain, seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.drain(self.seconds)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to signals. Uvicorn's own way raises them again in the end, and the process would not exit with 0."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.end)
        yield

    def end(self) -> None:
        """Begin to stop; a second signal does not wait for anybody."""
        if self.should_exit:
            os._exit(1)
        log.info("stopping: no new sockets, waiting up to %s s for the open ones", self.seconds)
        self.should_exit = True


class Channel(H11Protocol):
    """An HTTP connection that comes in by the door."""

    def __init__(self, door: Door, **named: Any) -> None:
        super().__init__(**named)
        self.door = door

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if not self.door.opened(self.client or NOBODY, transport.abort):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.closed(self.client or NOBODY)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        if self.door.lets_knock(self.client or NOBODY, self.headers):
            super().handle_websocket_upgrade(event)
        else:
            self.transport.write(TO_FORGERS)
            self.transport.close()


def run(
    application: Application,
    host: str,
    port: int,
    drain: Drain,
    seconds: float,
    limits: Limits | None = None,
    door: Door | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT and the end of draining."""
    door = door or Door()
    config = uvicorn.Config(
        limited(attended(application, door), limits or Limits(), door),
        host=host,
        port=port,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=partial(Channel, door),  # type: ignore[arg-type]  # uvicorn calls it, whatever it is
        # A head that is larger is answered with 400; an address of this size with 414.
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws=partial(Socket, door),  # type: ignore[arg-type]
        ws_max_size=MESSAGE_BYTES,
        # Sound is not to be squeezed: it would cost a hundred times what sending it costs.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=REQUEST_SECONDS,
    )
    DrainingServer(config, drain, seconds).run()
