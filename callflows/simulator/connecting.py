"""Knows the connect action: another leg is called, perhaps prepared, and put into the caller's conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callflows.simulator import events
from callflows.simulator.account import Hook
from callflows.simulator.conversation import Conversation, Member
from callflows.simulator.delivery import Document
from callflows.simulator.dialling import Detection, detect, join, leg_to, press_keys, ring
from callflows.simulator.legs import Leg
from callflows.simulator.lines import PartyLine, SocketLine
from callflows.simulator.mixing import Player
from callflows.simulator.options import flag, number, text
from callflows.simulator.party import begin
from callflows.simulator.scripts import Wait
from callflows.simulator.speaking import fetch_clip

if TYPE_CHECKING:
    from callflows.simulator.call import Call

Action = Mapping[str, Any]

_TIMEOUT, _LIMIT = 60, 7200


async def connect(call: Call, action: Action) -> Document | None:
    """Connect to an endpoint until somebody ends it; then its replacement, or the next action."""
    endpoint = action["endpoint"][0]
    if not call.platform.starts.take(call.now):
        call.refuse(f"connect: {events.CAPACITY_ERROR}")
        call.post(events.error(call.leg, call.clock, events.CAPACITY_ERROR), call.leg)
        return None
    leg = leg_to(call, endpoint, _from(call, action), call.leg.conversation)
    leg.action, call.children[leg.uuid] = action, leg
    ringback = await _ringback(call, action.get("ringbackTone"))
    failure = await ring(call, leg, number(action.get("timeout"), _TIMEOUT))
    if ringback:
        ringback.stop()
    if failure is not None:
        return await _failed(call, action, leg, failure)
    call.post(events.answered(leg, call.clock), leg)
    if isinstance(leg.line, PartyLine) and leg.behaviour:
        begin(leg, leg.line, leg.behaviour)
    await _prepared(call, action, leg)
    if leg.ended is not None:
        return None
    call.listen()
    join(call, leg)
    if leg.kind == "websocket" and call.knobs.ncco_after_ws == "immediate":
        call.background += 1
        call.platform.scripts.start(_behind(call, action, leg), call.group)
        return None
    return await _together(call, action, leg)


def _from(call: Call, action: Action) -> str:
    own = call.leg.to if call.leg.direction == "inbound" else call.leg.from_
    if flag(action.get("randomFromNumber")):
        return call.platform.account.number_of(call.application) or own
    return str(action.get("from", own))


async def _ringback(call: Call, url: object) -> Player | None:
    """Let the caller hear a tone while it rings."""
    address = text(url)
    clip = await fetch_clip(call, address, "ringbackTone") if address else None
    if clip is None or call.leg.room is None:
        return None
    player = Player("ringback", clip, 0)
    call.leg.own.append(player)
    call.leg.room.wake()
    return player


async def _failed(call: Call, action: Action, leg: Leg, body: dict[str, Any]) -> Document | None:
    document = None
    if action.get("eventType") == "synchronous":
        document = await call.consult(body, leg)
    else:
        call.post(body, leg)
    if document is None and isinstance(leg.line, SocketLine):
        call.refuse(f"socket {leg.to} was not opened ({leg.line.trouble}), and no document came instead", leg)
    call.finish(leg, "platform" if leg.kind == "websocket" else "user")
    return document


async def _prepared(call: Call, action: Action, leg: Leg) -> None:
    """Do what comes before both are connected: detection, keys, and a document of the callee's own."""
    knobs = call.knobs
    advanced = action.get("advancedMachineDetection") or action.get("advanced_machine_detection")
    detection = Detection.of(action.get("machineDetection"), advanced, knobs.least_beep_timeout)
    if detection and detection.waits:
        await detect(call, leg, detection)
    elif detection:
        leg.scripts.append(call.platform.scripts.start(detect(call, leg, detection), call.group))
    if leg.ended is None and (keys := leg.endpoint.get("dtmfAnswer")):
        await press_keys(leg, str(keys))
    if leg.ended is None and (whisper := leg.endpoint.get("onAnswer")):
        await _whisper(call, leg, whisper)


async def _whisper(call: Call, leg: Leg, options: Action) -> None:
    """Let the callee hear a document of his own, in a room that nobody else is in."""
    inner = type(call)(call.platform, leg, call.application, outer=call.group)
    room = Conversation(leg.conversation, call.platform.scripts, call.application.id)
    room.enter(Member(leg))
    ringback = await _ringback(call, options.get("ringbackTone") or options.get("ringback"))
    document = await inner.ask(Hook(options["url"], "GET", 1.0, 5.0))
    while document is not None and leg.ended is None:
        document = await inner.perform(document)
    leg.flow = None
    if ringback:
        ringback.stop()


async def _together(call: Call, action: Action, leg: Leg) -> Document | None:
    """Wait until one side ends it, at most its limit; a leg that REST takes away leaves the caller where he is."""
    line = leg.line
    end = call.now + number(action.get("limit"), _LIMIT)

    def over() -> bool:
        done = leg.ended is not None or (isinstance(line, SocketLine) and line.ending is not None)
        return done and leg.call is call

    await Wait(end, over)
    if leg.call is not call:
        await Wait()
    if leg.ended is not None:
        return None
    if not isinstance(line, SocketLine) or line.ending != "closed":
        call.finish(leg, "platform")
        return None
    body = events.progress(leg, "disconnected", call.clock)
    if call.knobs.disconnected_needs_synchronous and action.get("eventType") != "synchronous":
        document = None
    else:
        # The application's reply counts also without eventType synchronous.
        document = await call.consult(body, leg)
    call.finish(leg, "user")
    return document


async def _behind(call: Call, action: Action, leg: Leg) -> None:
    """Let a socket go on while the document does."""
    document = await _together(call, action, leg)
    call.background -= 1
    if document is not None:
        call.replace(document)
