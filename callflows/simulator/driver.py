"""Knows how to place a fake call for real: the rules' effects as HTTP and WebSocket traffic, at real-time pace."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from callflows.simulator.dial import Dial, host_of
from callflows.simulator.effects import (
    Close,
    Closed,
    Effect,
    Fetch,
    Fetched,
    HangUp,
    Heard,
    Input,
    Note,
    NotFetched,
    NotOpened,
    Open,
    Opened,
    Pause,
    Received,
    Said,
    Send,
    Trouble,
)
from callflows.simulator.platform import Platform

CONNECT_SECONDS = 1.0
# What the server has not read may wait here, 7 minutes at 16 kHz, before its call stands still.
UNREAD_BYTES = 1 << 24
USER_AGENT = "callflows-simulator"
T = TypeVar("T")
Watch = Callable[[Note | Heard | Said], None]


class NoServer(Exception):
    """Nobody listens where the webhooks should be."""


@cache
def _tls() -> ssl.SSLContext:
    """Return the certificates that we trust: reading them takes 25 to 60 ms, in which other calls would stand still."""
    return httpx2.create_ssl_context(trust_env=False)


async def reach(server: str) -> None:
    """Find out whether somebody listens at a server; raises NoServer."""
    parts = urlsplit(server)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(2 * CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError) as error:
        raise NoServer(
            f"no server at {server}: start one with make demo or make run, or name another with --server"
        ) from error
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@dataclass(eq=False)
class Driver:
    """Runs a platform: tells the rules what happened and when, and does what they ask for.

    ``watch`` is told of the timeline and of each 20 ms that a party hears, as they happen.
    """

    platform: Platform
    dial: Dial
    watch: Watch

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._news: deque[tuple[float, Input]] = deque()
        self._due: deque[Effect] = deque()
        self._woken = asyncio.Event()
        self._until_over = False
        self._sockets: dict[str, ClientConnection] = {}
        self._hung_up: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event, *, until_over: bool = False) -> None:
        """Run until ``stop`` is set, or until every call is over and every event was answered."""
        self._until_over = until_over
        stopping = asyncio.ensure_future(self._stopped(stop))
        limits = httpx2.Limits(max_keepalive_connections=20, keepalive_expiry=2.0)
        client = httpx2.AsyncClient(trust_env=False, verify=_tls(), limits=limits, headers={"User-Agent": USER_AGENT})
        async with client as self._http:
            # Only now: making the client takes time which is not the server's.
            self._started = self._loop.time()
            self.platform.began = datetime.now(UTC)
            try:
                while not stop.is_set() and not (self._until_over and self.platform.over):
                    await self._step()
            finally:
                stopping.cancel()
                await self._stop()

    def do(self, act: Callable[[float], T]) -> T:
        """Let somebody act on the platform now; what follows from it is done at once after."""
        now = self._now()
        self._due += self.platform.advance(now)
        try:
            return act(now)
        finally:
            self._woken.set()

    def tell(self, news: Input) -> None:
        """Tell the rules what a party or the world does now."""
        self._news.append((self._now(), news))
        self._woken.set()

    def finish(self) -> None:
        """Let every party hang up, and end when that is over."""
        self._until_over = True
        self.tell(HangUp())

    async def hang_up(self, wanted: asyncio.Event) -> None:
        """Do so once ``wanted`` is set."""
        await wanted.wait()
        self.finish()

    async def _stopped(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._woken.set()

    async def _step(self) -> None:
        """Do all that is due, then sleep until the next deadline: absolute, so that frames do not drift."""
        self._woken.clear()
        while self._news:
            at, news = self._news.popleft()
            await self._execute(self.platform.receive(news, at))
        await self._execute(self.platform.advance(self._now()))
        if self._news or self._due or (self._until_over and self.platform.over):
            return
        due = self.platform.next_time
        timer = self._loop.call_at(self._started + due, self._woken.set) if due < float("inf") else None
        await self._woken.wait()
        if timer:
            timer.cancel()

    def _now(self) -> float:
        return self._loop.time() - self._started

    async def _execute(self, effects: list[Effect]) -> None:
        self._due += effects
        while self._due:
            effect = self._due.popleft()
            match effect:
                case Send(leg, message):
                    await self._send(leg, message)
                case Heard() | Said() | Note():
                    self.watch(effect)
                case Fetch():
                    self._start(self._fetch(effect))
                case Open():
                    self._start(self._open(effect))
                case Close(leg, abort):
                    self._start(self._close(leg, abort))
                case Pause(leg):
                    if socket := self._sockets.get(leg):
                        socket.transport.pause_reading()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self) -> None:
        """Let closing handshakes end, at most 1 s."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in tuple(self._tasks):
            task.cancel()

    # HTTP

    async def _fetch(self, fetch: Fetch) -> None:
        try:
            url = self.dial(fetch.url)
            timeout = httpx2.Timeout(fetch.seconds, connect=fetch.connect_seconds)
            self._tell_elsewhere(fetch.url)
            headers = {"Host": host_of(fetch.url), **fetch.headers}
            if fetch.content is not None:
                headers["Content-Type"] = "application/json"
            async with asyncio.timeout(fetch.seconds):
                # Without one the address stays as it is, byte for byte.
                query = fetch.parameters if fetch.query else None
                response = await self._http.request(
                    fetch.method,
                    url,
                    params=query,
                    content=fetch.content,
                    headers=headers,
                    timeout=timeout,
                    follow_redirects=False,
                )
        except (ValueError, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            self.tell(NotFetched(fetch.id, _trouble(error), str(error) or type(error).__name__))
        else:
            kind = response.headers.get("content-type", "")
            self.tell(Fetched(fetch.id, response.status_code, kind, response.content))

    def _tell_elsewhere(self, url: str, leg: str = "") -> None:
        if self.dial.elsewhere(url):
            self._tell_of(url, "another server than the one called", leg)

    def _tell_of(self, url: str, what: str, leg: str) -> None:
        self.watch(Note(self._now(), "dial", "", f"{host_of(url)} is {what}", uuid=leg))

    # Sockets

    async def _open(self, opening: Open) -> None:
        try:
            socket = await self._connect(opening)
        except (ValueError, OSError, TimeoutError, WebSocketException) as error:
            self.tell(NotOpened(opening.leg, _refusal(error), isinstance(error, TimeoutError)))
            return
        if opening.leg in self._hung_up:
            return await socket.close()
        self._sockets[opening.leg] = socket
        self.tell(Opened(opening.leg))
        try:
            while True:
                self.tell(Received(opening.leg, await socket.recv()))
        except ConnectionClosed:
            self.tell(Closed(opening.leg, socket.close_code or 1006, socket.close_reason or ""))

    async def _connect(self, opening: Open) -> ClientConnection:
        """Connect as Vonage does: no sub-protocol, no Origin, no pings of its own; the answer to ours is automatic."""
        own = {"Authorization": opening.authorization} if opening.authorization else {}
        url = self.dial(opening.uri)
        self._tell_elsewhere(opening.uri, opening.leg)
        asked, parts = urlsplit(opening.uri), urlsplit(url)
        if (asked.scheme, asked.netloc) != (parts.scheme, parts.netloc):
            self._tell_of(opening.uri, f"{parts.scheme}://{parts.netloc} here", opening.leg)
        # By its own name, which the server may look at, to where it really is; not behind TLS, where the
        # certificate is for the real one.
        named = url if parts.scheme == "wss" else parts._replace(netloc=host_of(opening.uri)).geturl()
        return await connect(
            named,
            host=parts.hostname,
            port=parts.port or (443 if parts.scheme == "wss" else 80),
            additional_headers=own,
            user_agent_header=USER_AGENT,
            compression=None,
            proxy=None,
            open_timeout=opening.seconds,
            ping_interval=None,
            close_timeout=1.0,
            max_size=None,
            max_queue=None,
            write_limit=UNREAD_BYTES,
        )

    async def _send(self, leg: str, message: str | bytes) -> None:
        if socket := self._sockets.get(leg):
            # A closed socket reports itself by `recv`.
            with suppress(ConnectionClosed):
                await socket.send(message)

    async def _close(self, leg: str, abort: bool) -> None:
        self._hung_up.add(leg)
        socket = self._sockets.pop(leg, None)
        if socket is None:
            return
        if abort:
            socket.transport.abort()
        else:
            await socket.close()


def _trouble(error: Exception) -> Trouble:
    match error:
        case TimeoutError() | httpx2.TimeoutException():
            return "timeout"
        case httpx2.ConnectError() | httpx2.ReadError() | httpx2.WriteError():
            return "reset"
        case httpx2.RemoteProtocolError():
            return "closed"
    return "unreachable"


def _refusal(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code} instead of 101"
    return str(error) or type(error).__name__
