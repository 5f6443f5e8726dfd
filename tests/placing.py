"""Places one fake call for real, and keeps what came of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from callflows.simulator.account import APPLICATION, Method, application
from callflows.simulator.caller import Caller
from callflows.simulator.dial import Dial
from callflows.simulator.driver import Driver, Watch, reach
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import behaviour_of
from callflows.simulator.platform import Platform
from callflows.simulator.result import Result
from callflows.simulator.sound import Sound


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
    await reach(server)
    platform = Platform(datetime.now(UTC), knobs)
    platform.account.applications[APPLICATION] = application(public_url or server, method)
    uuid = platform.call_in(caller.to, caller.from_, behaviour=behaviour_of(caller), application=APPLICATION)
    leg, sound, notes = platform.legs[uuid], Sound(), list[Note]()

    def seen(what: Note | Heard | Said) -> None:
        if isinstance(what, Note):
            notes.append(what)
        elif isinstance(what, Heard) and what.leg == uuid:
            sound.add(what.source, what.rate, what.pcm, what.at)
        if watch:
            watch(what)

    driver = Driver(platform, Dial(server, public_url, sockets), seen)
    hanging = asyncio.ensure_future(driver.hang_up(hang_up or asyncio.Event()))
    try:
        await driver.run(asyncio.Event(), until_over=True)
    finally:
        hanging.cancel()
    call = leg.call
    return Result(
        uuid, leg.conversation, leg.status, tuple(platform.refusals), tuple(notes), sound, call.bad, call.lost
    )
