"""Knows how daphne serves us: on uvloop, draining before it stops, never queueing for a peer that does not read."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from typing import Any

import uvloop
from twisted.internet import asyncioreactor

# Before daphne is imported: its import installs a reactor on the standard library's slower loop unless there is one.
LOOP = uvloop.new_event_loop()
asyncioreactor.install(LOOP)  # type: ignore[no-untyped-call]  # Twisted's types end here

from daphne.endpoints import build_endpoint_description_strings  # noqa: E402  (after the reactor, see above)
from daphne.http_protocol import WebRequest  # noqa: E402
from daphne.server import Server  # noqa: E402
from daphne.ws_protocol import WebSocketProtocol  # noqa: E402
from twisted.internet import defer, reactor  # noqa: E402
from twisted.logger import LogEvent, globalLogPublisher  # noqa: E402

from callflows.serving import MESSAGE_BYTES, PING_SECONDS, PONG_SECONDS, Application, CannotListen, Drain  # noqa: E402

log = logging.getLogger(__name__)

# Unsent bytes above which new audio is dropped: 2 s at 24 kHz, 3 s at 16 kHz, 6 s at 8 kHz. One number for all, because
# a healthy peer leaves next to nothing unsent at any rate.
UNSENT_BYTES = 96_000
# Bytes of the kernel's own buffer, which it doubles; left alone it grows to 4 MB, which are two minutes of audio.
KERNEL_BYTES = 32 * 1024
# Seconds of a peer reading nothing, or too little, after which its connection is ended.
STUCK_SECONDS = 10
# Seconds that requests in progress get to finish when the listening has ended.
REQUEST_SECONDS = 2


class Socket(WebSocketProtocol):  # type: ignore[misc]  # daphne has no types
    """A WebSocket whose peer may stop reading: daphne's own would queue all that is sent to it, without end."""

    def __init__(self) -> None:
        super().__init__()
        # What the consumer may read, as scope["callflows.peer"].
        self.figures = {"dropped": 0}
        self.full_since: float | None = None

    def connectionMade(self) -> None:
        self.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        super().connectionMade()

    def unsent(self) -> int:
        """Return how many bytes wait in this process for the peer to read."""
        transport = self.transport
        return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)

    def is_full(self) -> bool:
        if self.unsent() <= UNSENT_BYTES:
            self.full_since = None
            return False
        self.full_since = self.full_since or time.monotonic()
        return True

    def serverSend(self, content: Any, binary: bool = False) -> None:
        if binary and self.is_full():
            self.figures["dropped"] += 1
        else:
            super().serverSend(content, binary)

    def check_timeouts(self) -> None:
        """Do daphne's checks, every 2 s, and end the connection of a peer that has been stuck for too long."""
        super().check_timeouts()
        if self.is_full() and self.full_since and time.monotonic() - self.full_since > STUCK_SECONDS:
            self.transport.abortConnection()


class DrainingServer(Server):  # type: ignore[misc]  # daphne has no types
    """Daphne that closes its sockets in order before it stops: plain daphne drops them, and on 3.11 crashes of it."""

    def __init__(self, application: Application, host: str, port: int, drain: Drain, seconds: float) -> None:
        super().__init__(
            application=application,
            endpoints=build_endpoint_description_strings(host=host, port=port),
            signal_handlers=False,
            websocket_timeout=-1,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            websocket_max_message_size=MESSAGE_BYTES,
            websocket_max_frame_size=MESSAGE_BYTES,
            server_name="",
        )
        self.drain, self.seconds = drain, seconds
        self.ports: list[Any] = []
        self.refused = ""
        self.ending: asyncio.Task[None] | None = None

    def run(self) -> None:
        reactor.callWhenRunning(self.begin)
        super().run()
        close_loop()
        if self.refused:
            raise CannotListen(self.refused)

    def begin(self) -> None:
        """Prepare what daphne offers no argument for; nothing is accepted before."""
        self.ws_factory.protocol = Socket
        # Daphne throws Twisted's log away; errors that nobody handled stand only there.
        globalLogPublisher.addObserver(log_failure)  # type: ignore[arg-type]  # a function will do
        for number in (signal.SIGINT, signal.SIGTERM):
            LOOP.add_signal_handler(number, self.end)

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        self.ports.append(port)

    def listen_error(self, failure: Any) -> None:
        self.refused = str(failure.getErrorMessage())
        self.stop()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if isinstance(protocol, Socket):
            scope["callflows.peer"] = protocol.figures
        return super().create_application(protocol, scope)

    def end(self) -> None:
        """Begin to stop; a second signal does not wait for anybody."""
        if self.ending:
            os._exit(1)
        log.info("stopping: no new sockets, waiting up to %s s for the open ones", self.seconds)
        self.ending = LOOP.create_task(self.finish())

    async def finish(self) -> None:
        """Drain, then stop. A failure on the way is told, and does not keep the process alive."""
        try:
            await self.drain(self.seconds)
            for port in self.ports:
                await defer.maybeDeferred(port.stopListening).asFuture(LOOP)
            if requests := self.running(WebRequest):
                await asyncio.wait(requests, timeout=REQUEST_SECONDS)
                # What they answered still has to go out.
                await asyncio.sleep(0.1)
        except Exception:
            log.exception("stopped without draining to the end")
        finally:
            self.stop()

    def running(self, kind: type) -> list[asyncio.Future[None]]:
        """Return the applications still at work for connections of a kind."""
        known = [
            details.get("application_instance") for one, details in self.connections.items() if isinstance(one, kind)
        ]
        return [one for one in known if one and not one.done()]

    def kill_all_applications(self) -> Any:
        """Cancel what is left, and let the reactor wait for it a little: an application may be deaf to it."""
        left = self.running(object)
        for application in left:
            application.cancel()
        return defer.Deferred.fromFuture(asyncio.ensure_future(asyncio.wait(left, timeout=1))) if left else None


def log_failure(event: LogEvent) -> None:
    if failure := event.get("log_failure"):
        log.error("%s", event.get("log_text") or failure.getErrorMessage(), exc_info=failure.value)


def close_loop() -> None:
    """End the loop's own tasks and close it, so that nothing is left for the interpreter's exit to trip over."""
    tasks = asyncio.all_tasks(LOOP)
    for task in tasks:
        task.cancel()
    if tasks:
        LOOP.run_until_complete(asyncio.wait(tasks, timeout=1))
    LOOP.run_until_complete(LOOP.shutdown_asyncgens())
    LOOP.close()


def run(application: Application, host: str, port: int, drain: Drain, seconds: float) -> None:
    """Serve until SIGTERM or SIGINT and the end of draining. Raises CannotListen."""
    DrainingServer(application, host, port, drain, seconds).run()
