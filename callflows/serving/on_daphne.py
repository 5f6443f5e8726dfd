"""Knows how daphne serves us: on uvloop, draining before it stops, never queueing for a peer that does not read."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any

import uvloop
from twisted.internet import asyncioreactor

# Before daphne is imported: its import installs a reactor on the standard library's slower loop unless there is one.
LOOP = uvloop.new_event_loop()
asyncioreactor.install(LOOP)  # type: ignore[no-untyped-call]  # Twisted's types end here

from daphne.endpoints import build_endpoint_description_strings  # noqa: E402  (after the reactor, see above)
from daphne.http_protocol import WebRequest  # noqa: E402
from daphne.server import Server  # noqa: E402
from twisted.internet import defer, reactor  # noqa: E402
from twisted.logger import LogEvent, globalLogPublisher  # noqa: E402

from callflows.serving import MESSAGE_BYTES, PING_SECONDS, PONG_SECONDS, Application, CannotListen, Drain  # noqa: E402
from callflows.serving.daphne_socket import Socket  # noqa: E402

log = logging.getLogger(__name__)

# Seconds that requests in progress get to finish when the listening has ended.
REQUEST_SECONDS = 2


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
        """As daphne's own does it, but that a socket's messages take our way in and out."""
        if not isinstance(protocol, Socket):
            return super().create_application(protocol, scope)
        scope |= {"asgi": {"version": "3.0"}, "callflows.peer": protocol.figures}
        work = self.application(scope, protocol.inbox.receive, protocol.reply)
        self.connections[protocol]["application_instance"] = LOOP.create_task(work)
        return protocol.inbox

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
