"""Knows the actions that move legs: into a named conversation, or all of one conversation into another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callflows.simulator import events
from callflows.simulator.conversation import MOST_MEMBERS, Member
from callflows.simulator.legs import Leg
from callflows.simulator.mixing import Player
from callflows.simulator.options import flag
from callflows.simulator.recording import Recording
from callflows.simulator.scripts import Wait
from callflows.simulator.speaking import fetch_clip

if TYPE_CHECKING:
    from callflows.simulator.call import Call

Action = Mapping[str, Any]


async def conversation(call: Call, action: Action) -> None:
    """Go into a named room and stay until it ends."""
    room = call.platform.room(call.application.id, str(action["name"]))
    if len(room.members) >= MOST_MEMBERS:
        return call.refuse(f"conversation: {action['name']} has {MOST_MEMBERS} members already")
    music = None
    if action.get("musicOnHoldUrl") and not room.started:
        clip = await fetch_clip(call, action["musicOnHoldUrl"][0], "musicOnHoldUrl")
        music = Player("music", clip, 0) if clip else None
    member = _member(call.leg, action)
    member.music, member.starts, member.ends = music, _starts(action), flag(action.get("endOnExit"))
    call.listen()
    call.note("room", f"enters {action['name']}")
    call.move(call.leg, member, room.uuid)
    if flag(action.get("record")) and not room.taps:
        # It lasts as long as the room, whoever leaves before.
        room.at_end.append(Recording(call, call.leg, action, room).finish)
    await _stay(call)


async def transfer(call: Call, action: Action) -> None:
    """Move all legs of this conversation into another, for good."""
    target = call.platform.conversations.get(str(action["conversationId"]))
    if target is None:
        reason = f"transfer: there is no conversation {action['conversationId']}"
        call.post(events.error(call.leg, call.clock, reason), call.leg)
        call.refuse(reason)
        return call.hang_up("platform")
    call.listen()
    legs = [each.leg for each in call.leg.room.members.values()] if call.leg.room else []
    for leg in legs:
        leg.call.move(leg, _member(leg, action), target.uuid)
    # Each goes on by itself now: no one's end is another's.
    call.children.clear()
    await _stay(call)


def _starts(action: Action) -> bool:
    return action.get("startOnEnter") not in (False, "false")


def _member(leg: Leg, action: Action) -> Member:
    if "mute" in action:
        leg.muted = flag(action["mute"])
    speak, hear = action.get("canSpeak"), action.get("canHear")
    return Member(leg, None if speak is None else frozenset(speak), None if hear is None else frozenset(hear))


async def _stay(call: Call) -> None:
    """Wait until the room around the leg has ended; then it is alone again."""
    await Wait(ready=lambda: call.leg.member is None or call.leg.member.over)
    if call.leg.ended is None:
        call.platform.alone(call.leg)
