"""Two servers and a worker are killed by chance while calls go on: what is left is whole, the next call is served."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from callflows.simulator.caller import Caller
from callflows.simulator.result import Result
from callflows.simulator.sound import sample_voice
from tests.chaos import rounds
from tests.placing import place
from tests.services import Deployment, Process, rows, wait_until

CALLER, VOICE = "447700900123", sample_voice(10.0)
CALLS = 6
LEFT_OPEN = "SELECT id FROM callflows_line WHERE state = 'open'"
ENDED = "SELECT uuid FROM callflows_call WHERE status = 'completed'"


@dataclass
class Site:
    """Two servers, one of which webhooks go to, the other sockets; and a worker."""

    deployment: Deployment
    webhooks: Process
    sockets: Process
    worker: Process

    def kill_one(self, chance: random.Random) -> None:
        """Kill what holds sockets or works, and start it again. The webhooks' server lives: its calls would be lost."""
        if chance.random() < 0.5:
            self.sockets.kill()
            self.sockets = self.deployment.serve()
        else:
            self.worker.kill()
            self.worker = self.deployment.work()


async def call(site: Site, seconds: float) -> Result:
    """Call the echo with a fallback: who loses the socket hears that the service is away."""
    caller = Caller("447700900005", CALLER, VOICE, (), seconds)
    return await place(caller, site.webhooks.url, sockets=site.sockets.url)


async def trouble(site: Site, chance: random.Random) -> list[Result]:
    """Let calls begin at any moment of some seconds, and kill something twice meanwhile; return what came of them."""

    async def later(wait: float) -> Result:
        await asyncio.sleep(wait)
        return await call(site, chance.uniform(1.0, 4.0))

    calls = [asyncio.create_task(later(chance.uniform(0.0, 4.0))) for _ in range(CALLS)]
    for _ in range(2):
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        await asyncio.to_thread(site.kill_one, chance)
    return list(await asyncio.gather(*calls))


def wait_until_all_is_over(deployment: Deployment, placed: set[str]) -> None:
    wait_until(lambda: {uuid for (uuid,) in rows(deployment, ENDED)} >= placed, "all calls are ended", seconds=60)
    # One whose server died while its caller hung up is found by a round of the worker's.
    wait_until(lambda: not rows(deployment, LEFT_OPEN), "no line is open", seconds=150)


async def test_killed_servers_and_workers_leave_whole_calls_and_the_next_is_served(on_postgres: Deployment) -> None:
    site = Site(on_postgres, on_postgres.serve(), on_postgres.serve(), on_postgres.work())
    placed = set[str]()
    for chance in rounds():
        for result in await trouble(site, chance):
            placed.add(result.uuid)
            assert result.status == "completed"
        await asyncio.to_thread(wait_until_all_is_over, on_postgres, placed)
        last = await call(site, 2.0)
        assert last.ok, last.refusals
        assert len(last.sound.of("socket")) > 0
        placed.add(last.uuid)
