"""Knows who is connected and has not asked for anything whole yet: for how long, and how many from one address.

A connection that drips its request would stay for ever, and two hundred of them use up what a process may open.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from callflows.serving import Application, Message, Receive, Send
from callflows.serving.proxies import LOOPBACK, Proxies
from callflows.serving.strangers import FORGERS

log = logging.getLogger(__name__)

# Seconds for a head, from the connection or the end of the request before it; Vonage and browsers take milliseconds.
HEAD_SECONDS = 10.0
# Seconds of a connection that is kept for another request.
IDLE_SECONDS = 60.0
# Seconds for a body, and for an upload: 64 MB at 1 Mbit/s.
BODY_SECONDS, UPLOAD_SECONDS = 20.0, 600.0
# Connections of one address that wait for their next request. A proxy has all of its clients'.
MOST_WAITING = 50
# How often what is refused here is told in the log.
TELL_SECONDS = 10.0

Peer = tuple[str, int]
# Of a connection that has ended before it was looked at.
NOBODY: Peer = ("", 0)


@dataclass(eq=False, slots=True)
class Caller:
    """One connection. ``timer`` ends it, and is None while it is our turn."""

    abort: Callable[[], object]
    timer: asyncio.TimerHandle | None = None


class Door:
    """The connections of this process by where they come from, as servers and ASGI name it: host and port.

    ``most`` is how many there may be at all. Connections of ``proxies`` are limited by these.
    """

    def __init__(self, most: int = 10_000, proxies: Proxies = LOOPBACK) -> None:
        self.most, self.proxies = most, proxies
        self._callers: dict[Peer, Caller] = {}
        self._waiting: Counter[str] = Counter()
        self._told = -TELL_SECONDS
        self._untold = 0

    def opened(self, peer: Peer, abort: Callable[[], object]) -> bool:
        """A connection came; False: it is not let in."""
        host = peer[0]
        if len(self._callers) >= self.most:
            self._tell(f"{host} was refused: {self.most} connections are open, and no more descriptors are for them")
            return False
        if self._waiting[host] >= MOST_WAITING and host not in self.proxies:
            self._tell(f"{host} was refused: it has {MOST_WAITING} connections that ask for nothing")
            return False
        self._callers[peer] = Caller(abort)
        self._wait(peer, HEAD_SECONDS, "its request did not come")
        return True

    def lets_knock(self, peer: Peer, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a handshake may begin: whoever brought many tokens that were none of ours is not asked for another.

        A proxy that does not say for whom it asks is never shut out: it has everybody behind it.
        """
        origin = self.proxies.origin_of({"client": peer, "headers": [(name.lower(), value) for name, value in headers]})
        barred = origin not in self.proxies and FORGERS.is_spent(origin, time.monotonic())
        if barred:
            self._tell(f"handshakes of {origin} are not looked at: its tokens are none of ours")
        return not barred

    def closed(self, peer: Peer) -> None:
        self._go_on(peer)
        self._callers.pop(peer, None)

    def body(self, peer: Peer, upload: bool) -> None:
        """A head has come; its body is to follow."""
        self._go_on(peer)
        self._wait(peer, UPLOAD_SECONDS if upload else BODY_SECONDS, "the body of its request did not come")

    def whole(self, peer: Peer) -> None:
        """A request is here: it is our turn, for as long as it takes."""
        self._go_on(peer)

    def answered(self, peer: Peer) -> None:
        """The answer has left; another request may follow."""
        self._go_on(peer)
        self._wait(peer, IDLE_SECONDS, "")

    def _wait(self, peer: Peer, seconds: float, why: str) -> None:
        if caller := self._callers.get(peer):
            caller.timer = asyncio.get_running_loop().call_later(seconds, self._late, peer, seconds, why)
            self._waiting[peer[0]] += 1

    def _go_on(self, peer: Peer) -> None:
        caller = self._callers.get(peer)
        if caller and caller.timer:
            caller.timer.cancel()
            caller.timer = None
            self._waiting[peer[0]] -= 1
            if not self._waiting[peer[0]]:
                del self._waiting[peer[0]]

    def _late(self, peer: Peer, seconds: float, why: str) -> None:
        if why:
            self._tell(f"{peer[0]} was cut off: {why} within {seconds:g} s")
        caller = self._callers[peer]
        self.closed(peer)
        caller.abort()

    def _tell(self, what: str) -> None:
        """Tell of one now and then: whoever does it, does it often."""
        now = time.monotonic()
        self._untold += 1
        if now - self._told >= TELL_SECONDS:
            log.warning("%s; %d such since the last time", what, self._untold)
            self._told, self._untold = now, 0


def attended(application: Application, door: Door) -> Application:
    """Return an application of whose requests the door knows when they are here and when they are answered."""

    async def within(scope: Message, receive: Receive, send: Send) -> None:
        peer = peer_of(scope)
        if scope["type"] != "http":
            door.whole(peer)
            return await application(scope, receive, send)

        async def noting() -> Message:
            message = await receive()
            if not message.get("more_body"):
                door.whole(peer)
            return message

        try:
            await application(scope, noting, send)
        finally:
            door.answered(peer)

    return within


def peer_of(scope: Message) -> Peer:
    host, port = scope.get("client") or NOBODY
    return host, port
