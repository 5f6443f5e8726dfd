"""Knows a fake Vonage as a process: the platform's rules in real time, and its API at a port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from callflows.simulator.dial import Dial
from callflows.simulator.driver import Driver, Watch
from callflows.simulator.effects import Note
from callflows.simulator.platform import NotPossible, Platform
from callflows.simulator.rest.api import Api
from callflows.simulator.rest.applications import Pair
from callflows.simulator.rest.keys import new_pair
from callflows.simulator.rest.messages import Reply, Request
from callflows.simulator.rest.server import Certificate, Server
from callflows.simulator.rest.store import Store
from callflows.simulator.typed import NotUnderstood, Typed

# How long the last events may take at the end.
END_SECONDS = 3.0


@dataclass(eq=False)
class Fake:
    """A platform that calls a server of ours, and that is asked at ``url``.

    ``dial`` says where its webhooks and sockets really go. ``store`` keeps the account; None: it is forgotten.
    """

    platform: Platform
    dial: Dial
    watch: Watch
    store: Store | None = None
    certificate: Certificate | None = None

    def __post_init__(self) -> None:
        self._spare: asyncio.Future[Pair] | None = None
        self._server = Server(self.answer, self.certificate)
        self._api = Api(self.platform, new_pair=self._new_pair)
        self._typed = Typed(self.platform)
        self._driver: Driver | None = None

    @property
    def url(self) -> str:
        return self._server.url

    async def run(self, stop: asyncio.Event, port: int = 0, ready: Callable[[Fake], None] | None = None) -> None:
        """Answer and call until ``stop`` is set. Raises OSError when the port is taken."""
        self._driver = Driver(self.platform, self.dial, self.watch)
        await self._server.start(port)
        self.platform.region_url = self.url
        self._prepare_pair()
        if ready:
            ready(self)
        ended = asyncio.Event()
        ending = asyncio.ensure_future(self._end(stop, ended))
        try:
            await self._driver.run(ended)
        finally:
            ending.cancel()
            await self._server.stop()

    async def _end(self, stop: asyncio.Event, ended: asyncio.Event) -> None:
        """Let everybody hang up once ``stop`` is set, and the server hear of it."""
        assert self._driver is not None
        await self._driver.hang_up(stop)
        await asyncio.sleep(END_SECONDS)
        ended.set()

    def type(self, line: str) -> None:
        """Let the caller at the terminal do what a line says."""
        assert self._driver is not None
        try:
            news = self._driver.do(lambda now: self._typed.take(line))
        except (NotUnderstood, NotPossible) as error:
            self._note("typed", str(error))
        else:
            if news:
                self._driver.tell(news)

    async def answer(self, request: Request) -> Reply:
        assert self._driver is not None
        reply = self._driver.do(lambda now: self._api.answer(request, now))
        path = "/" + "/".join(request.path)
        self._note("rest", f"{request.method} {path}: HTTP {reply.status}")
        if self.store and request.method != "GET":
            self.store.save(self.platform.account)
        return reply

    def _note(self, kind: str, text: str) -> None:
        self.watch(Note(round(self.platform.now, 3), kind, "", text))

    def _new_pair(self) -> Pair:
        """Return the pair that was made ahead: making one takes up to 300 ms, in which no call would go on."""
        pair = self._spare.result() if self._spare and self._spare.done() else new_pair()
        self._prepare_pair()
        return pair

    def _prepare_pair(self) -> None:
        self._spare = asyncio.get_running_loop().run_in_executor(None, new_pair)
