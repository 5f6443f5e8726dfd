"""Knows how daphne serves us: on uvloop, draining before it stops, never queueing for a peer that does not read."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import uvloop
from twisted.internet import asyncioreactor

# Before daphne is imported: its import installs a reactor on the standard library's slower loop unless there is one.
LOOP = uvloop.new_event_loop()
asyncioreactor.install(LOOP)  # type: ignore[no-untyped-call]  # Twisted's types end here

from daphne.http_protocol import WebRequest  # noqa: E402  (after the reactor, see above)
from daphne.server import Server  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.logger import LogEvent, globalLogPublisher  # noqa: E402

from callflows.serving import MESSAGE_BYTES, Application, CannotListen, Drain  # noqa: E402
from callflows.serving.bridge import Bridge  # noqa: E402
from callflows.serving.daphne_http import Channel, Request  # noqa: E402
from callflows.serving.daphne_socket import Socket  # noqa: E402
from callflows.serving.door import Door, attended  # noqa: E402
from callflows.serving.limits import Limits  # noqa: E402
from callflows.serving.short_way import EXTENSION  # noqa: E402

log = logging.getLogger(__name__)

# How often connections are looked at for what took too long, and for applications that have ended: as daphne does.
TIMEOUTS_SECONDS, REAP_SECONDS = 2, 1
# Seconds that requests in progress get to finish when the listening has ended.
REQUEST_SECONDS = 2


class DrainingServer(Server):  # type: ignore[misc]  # daphne has no types
    """Daphne over asyncio's transports, that closes its sockets in order before it stops.

    Plain daphne drops them, and on 3.11 crashes of it.
    """

    def __init__(
        self, application: Application, host: str, port: int, drain: Drain, seconds: float, limits: Limits, door: Door
    ) -> None:
        super().__init__(
            application=attended(application, door),
            # Asked for, and not used: we listen by ourselves.
            endpoints=["unused"],
            signal_handlers=False,
            websocket_timeout=-1,
            # Each socket's short way sees to silent peers.
            ping_interval=math.inf,
            ping_timeout=0,
            websocket_max_message_size=MESSAGE_BYTES,
            websocket_max_frame_size=MESSAGE_BYTES,
            server_name="",
        )
        self.endpoints: list[str] = []
        self.address = host, port
        self.drain, self.seconds = drain, seconds
        self.limits, self.door = limits, door
        self.listening: asyncio.AbstractServer | None = None
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
        self.http_factory.protocol = partial(Channel, self.limits, self.door)
        # Daphne throws Twisted's log away; errors that nobody handled stand only there.
        globalLogPublisher.addObserver(log_failure)  # type: ignore[arg-type]  # a function will do
        for number in (signal.SIGINT, signal.SIGTERM):
            LOOP.add_signal_handler(number, self.end)
        self.beginning = LOOP.create_task(self.listen())

    async def listen(self) -> None:
        host, port = self.address
        try:
            self.listening = await LOOP.create_server(lambda: Bridge(self.build, self.door), host, port)
        except OSError as error:
            self.refused = str(error)
            self.stop()

    def build(self, peer: Any) -> Any:
        """Return the HTTP side of a new connection. Daphne's factory puts its own kind of requests in."""
        channel = self.http_factory.buildProtocol(peer)
        channel.requestFactory = Request
        return channel

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """As daphne's own does it, but that a socket's messages wait in its short way's queue."""
        if not isinstance(protocol, Socket):
            return super().create_application(protocol, scope)
        queue = protocol.way.queue
        scope |= {"asgi": {"version": "3.0"}, "extensions": {EXTENSION: protocol.way}}
        work = self.application(scope, queue.get, partial(self.handle_reply, protocol))
        self.connections[protocol]["application_instance"] = LOOP.create_task(work)
        return queue

    def protocol_disconnected(self, protocol: Any) -> None:
        """As daphne's own does it, who may have forgotten a refused socket by the time its connection is lost."""
        if protocol in self.connections:
            super().protocol_disconnected(protocol)

    # Daphne's two timers see to all connections: what fails for one must not end them for the others.

    def timeout_checker(self) -> None:
        self.see_to_each(lambda protocol, details: protocol.check_timeouts())
        LOOP.call_later(TIMEOUTS_SECONDS, self.timeout_checker)

    def application_checker(self) -> None:
        self.see_to_each(self.reap)
        LOOP.call_later(REAP_SECONDS, self.application_checker)

    def see_to_each(self, work: Callable[[Any, dict[str, Any]], object]) -> None:
        for protocol, details in list(self.connections.items()):
            try:
                work(protocol, details)
            except Exception:
                log.exception("a connection could not be seen to, and is ended")
                self.connections.pop(protocol, None)
                if transport := getattr(protocol, "transport", None):
                    transport.abortConnection()

    def reap(self, protocol: Any, details: dict[str, Any]) -> None:
        """Forget a connection that is gone once its application has ended, which gets some time for that."""
        gone, application = details.get("disconnected"), details.get("application_instance")
        if gone and application and time.time() - gone > self.application_close_timeout:
            application.cancel()
        if application and application.done():
            del details["application_instance"]
            if not application.cancelled() and (error := application.exception()):
                log.error("an application failed: %s", error, exc_info=error)
                if not gone:
                    protocol.handle_exception(error)
        if gone and "application_instance" not in details:
            del self.connections[protocol]

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
            if self.listening:
                self.listening.close()
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
        return Deferred.fromFuture(asyncio.ensure_future(asyncio.wait(left, timeout=1))) if left else None


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


def run(
    application: Application,
    host: str,
    port: int,
    drain: Drain,
    seconds: float,
    limits: Limits | None = None,
    door: Door | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT and the end of draining. Raises CannotListen."""
    DrainingServer(application, host, port, drain, seconds, limits or Limits(), door or Door()).run()
