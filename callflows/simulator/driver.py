"""Knows how to place a fake call for real: the rules' effects as HTTP and WebSocket traffic, at real-time pace."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from callflows.simulator.call import Call
from callflows.simulator.caller import Caller
from callflows.simulator.courier import Site
from callflows.simulator.dial import Dial
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
    Received,
    Said,
    Send,
    Trouble,
)
from callflows.simulator.result import Result
from callflows.simulator.sound import Sound
from callflows.wire.platform import Knobs

# Vonage's default for the time to connect.
CONNECT_SECONDS = 1.0
# What the server has not read may wait here, 7 minutes at 16 kHz, before its call stands still.
UNREAD_BYTES = 1 << 24
USER_AGENT = "callflows-simulator"
Method = Literal["GET", "POST"]
Watch = Callable[[Note | Heard | Said], None]


class NoServer(Exception):
    """Nobody listens where the webhooks should be."""


@cache
def _tls() -> ssl.SSLContext:
    """Return the certificates that we trust: reading them takes 25 to 60 ms, in which other calls would stand still."""
    return httpx2.create_ssl_context(trust_env=False)


async def place(
    caller: Caller,
    server: str,
    *,
    public_url: str = "",
    sockets: str = "",
    method: Method = "GET",
    knobs: Knobs | None = None,
    watch: Watch | None = None,
    hang_up: asyncio.Event | None = None,
) -> Result:
    """Place one call to the webhooks of ``server`` (http://127.0.0.1:8000) and return what came of it.

    ``public_url`` and ``sockets`` are those of `Dial`.
    ``watch`` is told of the timeline and of each 20 ms as they happen; setting ``hang_up`` makes the caller hang up.
    Raises NoServer when nobody listens at ``server``.
    """
    await _reach(server)
    call = Call(caller, Site.at(public_url or server, method), datetime.now(UTC), knobs or Knobs())
    dial = Dial(server, public_url, sockets)
    return await Driver(call, dial, watch or (lambda seen: None)).run(hang_up or asyncio.Event())


async def _reach(server: str) -> None:
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
    """Runs one call: tells the rules what happened and when, and does what they ask for."""

    call: Call
    dial: Dial
    watch: Watch
    sound: Sound = field(default_factory=Sound)
    timeline: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = 0.0
        self._news: deque[tuple[float, Input]] = deque()
        self._woken = asyncio.Event()
        self._sockets: dict[str, ClientConnection] = {}
        self._hung_up: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, hang_up: asyncio.Event) -> Result:
        """Run the call until it is over and every event was answered."""
        hanging = asyncio.ensure_future(self._hang_up(hang_up))
        limits = httpx2.Limits(max_keepalive_connections=20, keepalive_expiry=2.0)
        client = httpx2.AsyncClient(trust_env=False, verify=_tls(), limits=limits, headers={"User-Agent": USER_AGENT})
        async with client as self._http:
            # Only now: making the client takes time which is not the server's.
            self._started = self._loop.time()
            self.call.began = datetime.now(UTC)
            try:
                while not self.call.over:
                    await self._step()
            finally:
                hanging.cancel()
                await self._stop()
        return self._result()

    async def _step(self) -> None:
        """Do all that is due, then sleep until the next deadline: absolute, so that frames do not drift."""
        self._woken.clear()
        while self._news:
            at, news = self._news.popleft()
            await self._execute(self.call.receive(news, at))
        await self._execute(self.call.advance(self._now()))
        if self._news or self.call.over:
            return
        due = self.call.next_time
        timer = self._loop.call_at(self._started + due, self._woken.set) if due < float("inf") else None
        await self._woken.wait()
        if timer:
            timer.cancel()

    def _now(self) -> float:
        return self._loop.time() - self._started

    def _tell(self, news: Input) -> None:
        self._news.append((self._now(), news))
        self._woken.set()

    async def _hang_up(self, wanted: asyncio.Event) -> None:
        await wanted.wait()
        self._tell(HangUp())

    async def _execute(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(leg, message):
                    await self._send(leg, message)
                case Heard(pcm, rate, source):
                    self.sound.add(source, rate, pcm)
                    self.watch(effect)
                case Said():
                    self.watch(effect)
                case Note():
                    self.timeline.append(effect)
                    self.watch(effect)
                case Fetch():
                    self._start(self._fetch(effect))
                case Open():
                    self._start(self._open(effect))
                case Close(leg, abort):
                    self._start(self._close(leg, abort))

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
            timeout = httpx2.Timeout(fetch.seconds, connect=CONNECT_SECONDS)
            async with asyncio.timeout(fetch.seconds):
                query = dict(fetch.query) or None
                response = await self._http.request(
                    fetch.method, url, params=query, json=fetch.body, timeout=timeout, follow_redirects=False
                )
        except (ValueError, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            self._tell(NotFetched(fetch.id, _trouble(error), str(error) or type(error).__name__))
        else:
            kind = response.headers.get("content-type", "")
            self._tell(Fetched(fetch.id, response.status_code, kind, response.content))

    # Sockets

    async def _open(self, opening: Open) -> None:
        try:
            socket = await self._connect(opening)
        except (ValueError, OSError, TimeoutError, WebSocketException) as error:
            self._tell(NotOpened(opening.leg, _refusal(error), isinstance(error, TimeoutError)))
            return
        if opening.leg in self._hung_up:
            return await socket.close()
        self._sockets[opening.leg] = socket
        self._tell(Opened(opening.leg))
        try:
            while True:
                self._tell(Received(opening.leg, await socket.recv()))
        except ConnectionClosed:
            self._tell(Closed(opening.leg, socket.close_code or 1006, socket.close_reason or ""))

    async def _connect(self, opening: Open) -> ClientConnection:
        """Connect as Vonage does: no sub-protocol, no Origin, no pings of its own; the answer to ours is automatic."""
        own = {"Authorization": opening.authorization} if opening.authorization else {}
        return await connect(
            self.dial(opening.uri),
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

    def _result(self) -> Result:
        call = self.call
        return Result(
            call.leg.uuid,
            call.leg.conversation,
            call.leg.status,
            tuple(call.refusals),
            tuple(self.timeline),
            self.sound,
            call.bad,
            call.lost,
        )


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
