"""Knows how to run a whole fake Vonage inside a test, and a server for its webhooks that writes down what comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from callflows.simulator.account import Account, Application, Number
from callflows.simulator.dial import Dial
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour
from callflows.simulator.platform import Platform
from callflows.simulator.rest.fake import Fake
from callflows.simulator.rest.messages import Reply, Request, as_json
from callflows.simulator.rest.server import Certificate, Server
from callflows.vonage.account import Account as OurAccount
from callflows.vonage.client import Client
from tests import dates
from tests.simulator.rest_world import APPLICATION, OURS, pair

# How long anything may take that a test waits for.
SECONDS = 60.0
LOOPED = [{"action": "talk", "text": "Please hold the line.", "loop": 0}]


@dataclass
class Site:
    """The webhooks of an application; ``ncco`` is what answer webhooks get."""

    ncco: list[dict[str, Any]] = field(default_factory=lambda: LOOPED)
    events: list[dict[str, Any]] = field(default_factory=list)
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = Server(self._answer)

    async def _answer(self, request: Request) -> Reply:
        if request.path[-1] != "events":
            return as_json(200, self.ncco)
        self.events.append(json.loads(request.body))
        return Reply(204)

    def statuses(self, uuid: str) -> list[str]:
        return [each["status"] for each in self.events if each.get("uuid") == uuid and "status" in each]


@dataclass
class Running:
    """A fake Vonage that runs, and the site that it calls."""

    fake: Fake
    site: Site

    @property
    def platform(self) -> Platform:
        return self.fake.platform

    @property
    def account(self) -> Account:
        return self.platform.account

    def client(self) -> Client:
        """Return our own client for the application."""
        return Client(OurAccount(APPLICATION, pair()[0], self.fake.url, (self.fake.url,)), pauses=())

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(SECONDS):
            while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)

    async def answered(self, uuid: str) -> None:
        await self.until(lambda: self.platform.legs[uuid].status == "answered")


@asynccontextmanager
async def running(tls: bool = False, **knobs: Any) -> AsyncIterator[Running]:
    """Run a fake with one application and one number, whose parties answer after 50 ms unless told otherwise."""
    site = Site()
    await site.server.start()
    application = Application.at(APPLICATION, "Front desk", site.server.url, pair()[1])
    for_sale = Number("447700900201", type="mobile-lvn", features=("VOICE", "SMS"))
    account = Account(
        applications={APPLICATION: application},
        numbers={OURS: Number(OURS, application=APPLICATION)},
        for_sale={for_sale.msisdn: for_sale},
    )
    platform = Platform(datetime.now(UTC), replace(Knobs(), **{"early_hang_up_seconds": 0.0, **knobs}))
    platform.account = account
    platform.parties["447700900222"] = Behaviour(rings=0.05)
    with dates.really():
        certificate = Certificate() if tls else None
    fake = Fake(platform, Dial(site.server.url), lambda seen: None, certificate=certificate)
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(fake.run(stop, ready=lambda _: ready.set()))
    try:
        async with asyncio.timeout(SECONDS):
            await ready.wait()
        yield Running(fake, site)
    finally:
        stop.set()
        await task
        await site.server.stop()
        if certificate:
            certificate.remove()
