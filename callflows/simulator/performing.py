"""Knows how to play a scenario for real: against a server, with sockets, in real time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from callflows.simulator.account import Method, WebhookName, application
from callflows.simulator.dial import Dial
from callflows.simulator.driver import Driver, reach
from callflows.simulator.result import Result
from callflows.simulator.scenario import Scenario
from callflows.simulator.scenario_play import Play, Seen
from callflows.simulator.sound import Sound


async def perform(
    scenario: Scenario,
    server: str,
    *,
    public_url: str = "",
    prefix: str = "",
    sockets: str = "",
    method: Method = "GET",
    addresses: Mapping[WebhookName, str] | None = None,
    allowed: Iterable[str] = (),
    signing: tuple[str, str] | None = None,
    watch: Callable[[Seen], None] = lambda seen: None,
    hang_up: asyncio.Event | None = None,
) -> Play:
    """Play a scenario against ``server``.

    ``public_url``, ``sockets`` and ``allowed`` are those of `Dial`. Our webhooks are below the path ``prefix``;
    ``addresses`` are the application's, where they are not ours. ``signing`` is the API key and the secret that sign
    webhooks.
    Setting ``hang_up`` makes everybody hang up. Raises NoServer when nobody listens at ``server``.
    """
    await reach(server)
    app = application((public_url or server) + prefix, method, addresses)
    app.document["capabilities"]["voice"]["signed_callbacks"] = signing is not None
    play = Play(scenario, app, datetime.now(UTC), signing)

    def seen(what: Seen) -> None:
        play(what)
        watch(what)

    driver = Driver(play.stage, Dial(server, public_url, sockets, frozenset(allowed)), seen)
    hanging = asyncio.ensure_future(_hang_up(play, driver, hang_up or asyncio.Event()))
    try:
        await driver.run(asyncio.Event(), until_over=True)
    finally:
        hanging.cancel()
    return play


async def _hang_up(play: Play, driver: Driver, wanted: asyncio.Event) -> None:
    await wanted.wait()
    play.no_more_calls()
    driver.finish()


def result_of(play: Play) -> Result:
    """Return what came of a scenario, as that of its first call; what is not as expected is refused."""
    refusals = play.refusals if not play.scenario.expect else tuple(map(str, play.failures()))
    notes = tuple(play.came.notes)
    if not play.came.legs:
        return Result("", "", "", refusals, notes, Sound(), 0, 0)
    leg = play.stage.legs[play.came.legs[0]]
    sound = play.sounds[leg.uuid]
    return Result(leg.uuid, leg.conversation, leg.status, refusals, notes, sound, leg.call.bad, leg.call.lost)


def heard_by(play: Play) -> list[tuple[str, Sound]]:
    """Return which people heard something, with what: those who called first, then those who were called."""
    people = [uuid for uuid in play.legs if play.stage.legs[uuid].kind != "websocket"]
    return [(uuid, play.sounds[uuid]) for uuid in people if play.sounds[uuid].frames]
